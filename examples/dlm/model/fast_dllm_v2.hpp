// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <limits>
#include <string>

#include <unmask/error.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/sampler/selector/selector.hpp>

namespace dlm {

using unmask::index_t;

/// The choice of Fast-dLLM v2's generate (arXiv 2509.26328): a block's first token, whatever its probability, for the
/// block before predicts it; then the block in parts from left to right, of which each call commits the tokens above
/// the threshold, and the surest.
struct fast_dllm_v2 {
    static constexpr auto kind = unmask::policy_kind::selector;
    double probability = 0.9; ///< in [0, 1]
    index_t block = 32;       ///< the model's block length
    index_t part = 8;         ///< positions that are filled before those after them, from the block's beginning

    void check() const {
        unmask::detail::check_probability("fast_dllm_v2.probability", probability);
        if (part < 1 || part > block) {
            throw unmask::invalid_argument("sampler", "fast_dllm_v2.part", std::to_string(part),
                                           "in [1, block] (" + std::to_string(block) + ")");
        }
    }

    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const unmask::step_share& /*share*/) const {
        const index_t first = all[0].where.position;
        const index_t place = first % block;
        const bool alone = place == 0 && first > 0;
        const index_t end = alone ? first + 1 : first - place + (place / part + 1) * part;
        const double bound = unmask::exact::log_of_probability(probability);
        const int surest = all.highest([&](int i) {
            return all[i].where.position < end ? all[i].score.value : -std::numeric_limits<double>::infinity();
        });
        all.for_each([&](int i) {
            const bool sure = all[i].log_probability(unmask::score_from::shaped) > bound;
            all[i].chosen = i == surest || (sure && all[i].where.position < end);
        });
    }
};

} // namespace dlm
