// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/detail/host/serial_loops.hpp>
#include <unmask/sampler/detail/step/candidates.hpp>

UNMASK_NAMESPACE_BEGIN

namespace detail {

// The function that the concept below asks with.
struct any_of_candidate {
    UNMASK_HOST_DEVICE bool operator()(int /*i*/) const { return false; }
};

} // namespace detail

/// The candidates of one sequence, as a selector or a user's own rule sees them on any processor: on the CPU one thread
/// reads them, on the GPU all threads of a block call the rule, and these members, together.
///
///   1. `count()`, and `all[i]`: the i-th candidate of [0, count()), by rising position. None is chosen at first.
///   2. `for_each(f)` calls f(i) once for every i, in any order; then all calls are done.
///   3. `count_if(f)`: the number of i that f(i) is true for. `find_if(f)`: the first of them, or count().
///      `highest(f)`: the i with the highest f(i), of equal ones the lowest; −1 if there are no candidates. f is called
///      in any order.
///   4. `walk(f)` calls f(0), f(1), … up to count() one after another until it returns false; returns how often it
///      returned true. For rules in which a decision depends on the earlier ones: f may keep state outside of itself.
///   5. `ranked(n, rank)`: the candidate of a rank, from 0, of the selector's n-th ranking. `choose_first(n, k)`:
///      chooses the first k of that ranking, or all if there are fewer, and no others.
///
/// A rule that runs on the GPU changes candidates in for_each() and walk() alone, and variables outside of f in walk()
/// alone.
template <class C>
concept candidate_view = requires(const C& all, int i) {
    { all.count() } -> std::same_as<int>;
    { all[i] } -> std::same_as<candidate&>;
    { all.ranked(i, i) } -> std::same_as<candidate&>;
    { all.count_if(detail::any_of_candidate{}) } -> std::same_as<int>;
    { all.find_if(detail::any_of_candidate{}) } -> std::same_as<int>;
    { all.highest(detail::any_of_candidate{}) } -> std::same_as<int>;
    { all.walk(detail::any_of_candidate{}) } -> std::same_as<int>;
    all.for_each(detail::any_of_candidate{});
    all.choose_first(i, index_t{});
};

namespace detail {

// A view that concepts ask with.
struct any_candidates : looped_candidates<serial_loops> {
    UNMASK_HOST_DEVICE candidate& ranked(int n, int rank) const;
    UNMASK_HOST_DEVICE void choose_first(int n, index_t count) const;
    UNMASK_HOST_DEVICE any_candidates from_ranking(int n) const;
};
static_assert(candidate_view<any_candidates>);

} // namespace detail
UNMASK_NAMESPACE_END
