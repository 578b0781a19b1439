// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <atomic>
#include <concepts>
#include <type_traits>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/detail/device/sequence.cuh>
#include <unmask/sampler/detail/step/canvas_changes.hpp>
#include <unmask/sampler/observer.hpp>
#include <unmask/sampler/statistics.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// Reads a number that the device writes last: whatever belongs to it has been written.
inline index_t read_while_written(index_t& from) {
    return std::atomic_ref(from).load(std::memory_order_acquire);
}

// Applies the trace of a run on the GPU to the canvas of the host, call by call if the run is observed.
template <class Observer>
class device_replay {
public:
    static constexpr bool observed = !std::same_as<std::remove_const_t<Observer>, no_observer>;

    device_replay(canvas& page, statistics& counts, Observer& observer)
        : page_(page), changes_(page, counts), observer_(observer) {
        for (index_t i = 0; i < page.sequences(); ++i) {
            for (index_t position = 0; position < page.length(i); ++position) {
                if (page.state(i, position) == position_state::masked) {
                    masked_.push_back({i, position});
                }
            }
        }
    }

    // Applies the first `calls` calls, whose trace is complete. False as soon as the observer ends the run: then
    // nothing more is applied.
    bool operator()(const device_trace& trace, index_t calls) {
        if constexpr (observed) {
            while (goes_on_ && applied_ < calls) {
                apply(trace, applied_ + 1);
                const sampler_step step{applied_ - 1, page_, changes_.reported(), page_.masked()};
                goes_on_ = tell(observer_, step);
                changes_.forget();
            }
        } else {
            apply(trace, calls);
        }
        return goes_on_;
    }

    // Whether the observer has ended the run.
    [[nodiscard]] bool has_ended() const { return !goes_on_; }

private:
    // Applies changes of the first `calls` calls that are not on the canvas yet.
    void apply(const device_trace& trace, index_t calls) {
        auto left = masked_.begin();
        for (const row& where : masked_) {
            device_commitment& made = trace.commitments[page_.offset(where.sequence) + where.position];
            const index_t at = read_while_written(made.call);
            if (at < 0 || at >= calls) {
                *left++ = where;
                continue;
            }
            candidate one;
            one.where = where;
            one.token = made.token;
            one.score.value = made.score;
            one.raw_log_probability = made.log_probability;
            one.change = change::commit;
            changes_.apply(one);
        }
        masked_.erase(left, masked_.end());
        for (index_t i = 0; i < page_.sequences(); ++i) {
            device_fill& fill = trace.fills[i];
            const index_t at = read_while_written(fill.call);
            if (at >= applied_ && at < calls) {
                changes_.end_text(i, fill.begin);
            }
        }
        applied_ = calls;
    }

    canvas& page_;
    canvas_changes<false, observed> changes_;
    Observer& observer_;
    std::vector<row> masked_; // positions that have not changed yet
    index_t applied_ = 0;     // calls
    bool goes_on_ = true;
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
