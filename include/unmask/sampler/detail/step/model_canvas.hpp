// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/guidance/guidance.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Throws invalid_argument if the id of a sequence could be that of a twin.
inline void check_ids_without_twins(const canvas& page) {
    for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
        if (const std::uint64_t id = page.id(sequence); id == twin_id(id)) {
            throw invalid_argument("sampler", "canvas.id(" + std::to_string(sequence) + ")", std::to_string(id),
                                   "below 2^63, where the ids of guidance's twins begin");
        }
    }
}

// The canvas as the model reads it: the one that is sampled or, for guidance, that one followed by a twin of every
// sequence in which the prompt is masked.
template <bool Twins>
class model_canvas {
public:
    explicit model_canvas(canvas& page) : page_(page), both_(page) {
        if constexpr (Twins) {
            for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
                add_twin(sequence);
            }
        }
    }

    // Does the same to a sequence and its copies.
    template <class Write>
    void write(index_t sequence, const Write& write) {
        write(page_, sequence);
        if constexpr (Twins) {
            write(both_, sequence);
            write(both_, sequence + page_.sequences());
        }
    }

    [[nodiscard]] const canvas& read() const {
        if constexpr (Twins) {
            return both_;
        } else {
            return page_;
        }
    }

private:
    struct nothing {
        explicit nothing(const canvas&) {}
    };

    void add_twin(index_t sequence) {
        const auto states = page_.states(sequence);
        std::vector<token_t> tokens(states.size(), blank);
        for (std::size_t i = 0; i < states.size(); ++i) {
            tokens[i] = states[i] == position_state::prompt ? page_.vocabulary().mask : blank;
        }
        const index_t twin = both_.add_infill({tokens.data(), tokens.size()}, twin_id(page_.id(sequence)));
        for (std::size_t i = 0; i < states.size(); ++i) {
            if (states[i] == position_state::committed) {
                both_.commit(twin, static_cast<index_t>(i), page_.tokens(sequence)[i]);
            }
        }
    }

    canvas& page_;
    std::conditional_t<Twins, canvas, nothing> both_;
};

} // namespace detail
UNMASK_NAMESPACE_END
