// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/detail/host/ranking.hpp>
#include <unmask/sampler/detail/host/serial_loops.hpp>
#include <unmask/sampler/detail/step/candidates.hpp>
#include <unmask/sampler/selector/selector.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The candidate_view of one thread. A ranking is made when it is first asked for.
template <class Selector>
class host_candidates : public looped_candidates<serial_loops> {
public:
    using rankings = std::array<std::optional<ranking>, static_cast<std::size_t>(rankings_of<Selector>)>;

    host_candidates(std::span<candidate> all, const Selector& selector, rankings& made)
        : looped_candidates(all.data(), static_cast<int>(all.size())), all_(all), selector_(selector), made_(made) {}

#if defined(__CUDACC__)
#pragma nv_exec_check_disable // rules for all processors call it
#endif
    [[nodiscard]] UNMASK_HOST_DEVICE candidate& ranked(int n, int rank) const {
        std::optional<ranking>& order = made_[place_of(n)];
        if (!order) {
            order.emplace(all_, number_of(n));
        }
        return all_[(*order)[static_cast<std::size_t>(rank)]];
    }

#if defined(__CUDACC__)
#pragma nv_exec_check_disable
#endif
    UNMASK_HOST_DEVICE void choose_first(int n, index_t number) const {
        if (!made_[place_of(n)]) {
            choose_best(all_, number, number_of(n));
            return;
        }
        for_each([&](int i) { (*this)[i].chosen = false; });
        for (int rank = 0; rank < number && rank < count(); ++rank) {
            ranked(n, rank).chosen = true;
        }
    }

    // The rankings from the n-th on, for a selector inside another.
#if defined(__CUDACC__)
#pragma nv_exec_check_disable
#endif
    [[nodiscard]] UNMASK_HOST_DEVICE host_candidates from_ranking(int n) const {
        host_candidates later = *this;
        later.first_ranking_ += n;
        return later;
    }

private:
    [[nodiscard]] std::size_t place_of(int n) const { return static_cast<std::size_t>(first_ranking_ + n); }
    [[nodiscard]] auto number_of(int n) const {
        return [&selector = selector_, n = first_ranking_ + n](const candidate& position) {
            return rank_number(selector, n, position);
        };
    }

    std::span<candidate> all_;
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
