// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "integers.hpp"

namespace sink_study::backcopy {

using unmask::index_t;

/// One model of the grid, without its seed.
struct cell {
    std::string model = "1x1";        ///< layers × heads: 1x1 or 2x2
    index_t length = 64;              ///< of the sequences
    std::string keys = "visible";     ///< whether queries see [MASK] keys: visible or hidden; causal: neither
    std::string variant = "none";     ///< the sink: see variants
    std::string training = "trained"; ///< trained; untrained: as it starts; uniform: untrained, with even attention

    [[nodiscard]] std::string name() const {
        return model + "-" + std::to_string(length) + "-" + keys + "-" + variant +
               (training == "trained" ? "" : "-" + training);
    }
    friend bool operator==(const cell&, const cell&) = default;
};

/// A cell and a seed. Jobs of one seed see the same batches and start from the same weights, tensor by tensor.
struct job {
    cell of;
    std::uint32_t seed = 1;

    [[nodiscard]] std::string name() const { return of.name() + "-seed" + std::to_string(seed); }
};

/// The variants: no sink; an extra token in front, in the middle, at the end, or at a place that the seed draws; a
/// sink with a key and no value; with logit 0; with a learned logit; an output gate and no sink.
inline const std::vector<std::string>& variants() {
    static const std::vector<std::string> names = {"none",     "front",      "middle", "end", "random",
                                                   "key_sink", "off_by_one", "logit",  "gate"};
    return names;
}

/// The seeds that are reported. Nothing was tuned on them: what was tried before the run used others.
inline const std::vector<std::uint32_t>& registered_seeds() {
    static const std::vector<std::uint32_t> seeds = {10, 11, 12, 13, 14};
    return seeds;
}

/// The registered cells, in the order in which they are run, each with all of its seeds: what the expectations are
/// about, the controls, position and value of the sink, the larger model, the longer sequences, and the rest.
inline std::vector<cell> registered_cells() {
    std::vector<cell> cells;
    const auto both = [&](cell each) {
        for (const char* keys : {"visible", "hidden"}) {
            each.keys = keys;
            cells.push_back(each);
        }
    };
    both({.variant = "none"});
    both({.variant = "front"});
    for (const char* training : {"untrained", "uniform"}) {
        both({.variant = "none", .training = training});
        both({.variant = "front", .training = training});
    }
    cells.push_back({.keys = "causal"});
    cells.push_back({.keys = "causal", .training = "untrained"});
    for (const char* variant : {"middle", "end", "random", "key_sink"}) {
        cells.push_back({.keys = "hidden", .variant = variant});
    }
    for (const char* training : {"trained", "untrained"}) {
        both({.model = "2x2", .variant = "none", .training = training});
        both({.model = "2x2", .variant = "front", .training = training});
    }
    both({.length = 128, .variant = "none"});
    both({.length = 128, .variant = "front"});
    for (const char* keys : {"hidden", "visible"}) {
        for (const char* variant : {"off_by_one", "logit", "gate"}) {
            cells.push_back({.keys = keys, .variant = variant});
        }
    }
    for (const char* variant : {"middle", "end", "random", "key_sink"}) {
        cells.push_back({.keys = "visible", .variant = variant});
    }
    return cells;
}

/// All registered jobs, cell by cell.
inline std::vector<job> registered_jobs(const std::vector<std::uint32_t>& seeds = registered_seeds()) {
    std::vector<job> jobs;
    for (const cell& each : registered_cells()) {
        for (const std::uint32_t seed : seeds) {
            jobs.push_back({each, seed});
        }
    }
    return jobs;
}

} // namespace sink_study::backcopy
