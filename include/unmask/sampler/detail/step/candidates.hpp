// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// A candidate_view but for its rankings, by the loops of a processor.
template <class Loops>
class looped_candidates {
public:
    UNMASK_HOST_DEVICE looped_candidates(candidate* first, int count) : first_(first), count_(count) {}

    [[nodiscard]] UNMASK_HOST_DEVICE int count() const { return count_; }
    [[nodiscard]] UNMASK_HOST_DEVICE candidate& operator[](int i) const { return first_[i]; }

    template <class F>
    UNMASK_HOST_DEVICE void for_each(const F& f) const {
        Loops::for_each(0, count_, f);
    }
    template <class F>
    [[nodiscard]] UNMASK_HOST_DEVICE int count_if(const F& f) const {
        return Loops::count_if(count_, f);
    }
    template <class F>
    [[nodiscard]] UNMASK_HOST_DEVICE int find_if(const F& f) const {
        return Loops::find_if(count_, f);
    }
    template <class F>
    [[nodiscard]] UNMASK_HOST_DEVICE int highest(const F& f) const {
        return Loops::highest(count_, f);
    }
    template <class F>
    UNMASK_HOST_DEVICE int walk(const F& f) const {
        return Loops::walk(count_, f);
    }

private:
    candidate* first_;
    int count_;
};

} // namespace detail
UNMASK_NAMESPACE_END
