// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/numeric/detail/falling.hpp>
#include <unmask/sampler/candidate.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Candidates are large and come in rising order of position: they are ranked by copies of their numbers and stay where
// they are. Of equal numbers the lower index, and so the lower position, is first.

// The count-th highest number, and how many of the highest `count` are equal to it. 0 < count < candidates.size().
struct number_bound {
    double value;
    index_t equal;
};

template <class Number>
number_bound bound_of_highest(std::span<const candidate> candidates, std::size_t count, Number number) {
    std::vector<double> highest; // a heap: the lowest of them is in front
    highest.reserve(count);
    for (const candidate& position : candidates) {
        const double value = number(position);
        if (highest.size() < count) {
            highest.push_back(value);
            std::push_heap(highest.begin(), highest.end(), falling{});
        } else if (value > highest.front()) { // rarely, where few are wanted
            std::pop_heap(highest.begin(), highest.end(), falling{});
            highest.back() = value;
            std::push_heap(highest.begin(), highest.end(), falling{});
        }
    }
    return {highest.front(), std::count(highest.begin(), highest.end(), highest.front())};
}

// The same where many are wanted.
template <class Number>
number_bound bound_of_many_highest(std::span<const candidate> candidates, std::size_t count, Number number) {
    std::vector<double> numbers;
    numbers.reserve(candidates.size());
    for (const candidate& position : candidates) {
        numbers.push_back(number(position));
    }
    const auto last = numbers.begin() + static_cast<std::ptrdiff_t>(count - 1);
    std::nth_element(numbers.begin(), last, numbers.end(), falling{});
    return {*last, std::count(numbers.begin(), last + 1, *last)};
}

// Chooses the `count` candidates with the highest numbers, or all if there are no more. O(candidates).
template <class Number>
void choose_best(std::span<candidate> candidates, index_t count, Number number) {
    if (count <= 0 || count >= std::ssize(candidates)) {
        for (candidate& position : candidates) {
            position.chosen = count > 0;
        }
        return;
    }
    const auto wanted = static_cast<std::size_t>(count);
    number_bound bound = wanted * 32 <= candidates.size() ? bound_of_highest(candidates, wanted, number)
                                                          : bound_of_many_highest(candidates, wanted, number);
    for (candidate& position : candidates) {
        const double value = number(position);
        position.chosen = value > bound.value || (value == bound.value && bound.equal-- > 0);
    }
}

// Candidates by falling number. Sorted only as far as ranks are asked for, which is rarely far: the first k of n
// ranks cost O(n + k log k).
class ranking {
public:
    template <class Number>
    ranking(std::span<const candidate> candidates, Number number) {
        keys_.reserve(candidates.size());
        for (std::size_t i = 0; i < candidates.size(); ++i) {
            keys_.push_back({number(candidates[i]), i});
        }
    }

    [[nodiscard]] std::size_t size() const { return keys_.size(); }

    // The index of the candidate of a rank, from 0.
    std::size_t operator[](std::size_t rank) {
        while (rank >= sorted_) {
            sort_more();
        }
        return keys_[rank].index;
    }

private:
    struct key {
        double number;
        std::size_t index;

        friend bool operator<(const key& a, const key& b) {
            return a.number > b.number || (a.number == b.number && a.index < b.index);
        }
    };

    void sort_more() {
        const std::size_t end = std::min(keys_.size(), std::max<std::size_t>(2 * sorted_, 32));
        const auto first = keys_.begin() + static_cast<std::ptrdiff_t>(sorted_);
        const auto last = keys_.begin() + static_cast<std::ptrdiff_t>(end);
        std::nth_element(first, last, keys_.end());
        std::sort(first, last);
        sorted_ = end;
    }

    std::vector<key> keys_;
    std::size_t sorted_ = 0;
};

} // namespace detail
UNMASK_NAMESPACE_END
