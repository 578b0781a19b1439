// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/detail/host/ranking.hpp>
#include <unmask/sampler/selector/candidate_view.hpp>
#include <unmask/sampler/selector/selector.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The candidate_view of one thread. A ranking is made when it is first asked for. Members that policies call are marked for
// the device as well, or nvcc warns of rules that are written for both.
template <class Selector>
class host_candidates {
public:
    using rankings = std::array<std::optional<ranking>, static_cast<std::size_t>(rankings_of<Selector>)>;

    host_candidates(std::span<candidate> all, const Selector& selector, rankings& made)
        : first_(all.data()), count_(static_cast<int>(all.size())), selector_(selector), made_(made) {}

    [[nodiscard]] UNMASK_HOST_DEVICE int count() const { return count_; }
    [[nodiscard]] UNMASK_HOST_DEVICE candidate& operator[](int i) const { return first_[i]; }

#if defined(__CUDACC__)
#pragma nv_exec_check_disable
#endif
    [[nodiscard]] UNMASK_HOST_DEVICE candidate& ranked(int n, int rank) const {
        std::optional<ranking>& order = made_[place_of(n)];
        if (!order) {
            order.emplace(all(), number_of(n));
        }
        return first_[(*order)[static_cast<std::size_t>(rank)]];
    }

#if defined(__CUDACC__)
#pragma nv_exec_check_disable
#endif
    UNMASK_HOST_DEVICE void choose_first(int n, index_t number) const {
        if (!made_[place_of(n)]) {
            choose_best(all(), number, number_of(n));
            return;
        }
        for_each([&](int i) { (*this)[i].chosen = false; });
        for (int rank = 0; rank < number && rank < count(); ++rank) {
            ranked(n, rank).chosen = true;
        }
    }

    template <class F>
    UNMASK_HOST_DEVICE void for_each(const F& f) const {
        for (int i = 0; i < count(); ++i) {
            f(i);
        }
    }

    template <class F>
    [[nodiscard]] UNMASK_HOST_DEVICE int count_if(const F& f) const {
        int found = 0;
        for (int i = 0; i < count(); ++i) {
            found += f(i) ? 1 : 0;
        }
        return found;
    }

    template <class F>
    [[nodiscard]] UNMASK_HOST_DEVICE int find_if(const F& f) const {
        int i = 0;
        while (i < count() && !f(i)) {
            ++i;
        }
        return i;
    }

    template <class F>
    [[nodiscard]] UNMASK_HOST_DEVICE int highest(const F& f) const {
        int best = -1;
        double value = 0;
        for (int i = 0; i < count(); ++i) {
            const double number = f(i);
            if (best < 0 || number > value) {
                best = i;
                value = number;
            }
        }
        return best;
    }

    template <class F>
    UNMASK_HOST_DEVICE int walk(const F& f) const {
        return find_if([&](int i) { return !f(i); });
    }

    // The rankings from the n-th on, for a selector inside another.
    [[nodiscard]] UNMASK_HOST_DEVICE host_candidates from_ranking(int n) const {
        host_candidates later = *this;
        later.first_ranking_ += n;
        return later;
    }

private:
    [[nodiscard]] std::span<candidate> all() const { return {first_, static_cast<std::size_t>(count_)}; }
    [[nodiscard]] std::size_t place_of(int n) const { return static_cast<std::size_t>(first_ranking_ + n); }
    [[nodiscard]] auto number_of(int n) const {
        return [&selector = selector_, n = first_ranking_ + n](const candidate& position) {
            return rank_number(selector, n, position);
        };
    }

    candidate* first_;
    int count_;
    const Selector& selector_;
    rankings& made_;
    int first_ranking_ = 0;
};

// Calls choose(view) with a view of the candidates.
template <class Selector, class Choose>
void with_view(const Selector& selector, std::span<candidate> all, Choose choose) {
    typename host_candidates<Selector>::rankings made;
    choose(host_candidates<Selector>(all, selector, made));
}

} // namespace detail
UNMASK_NAMESPACE_END
