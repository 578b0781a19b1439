// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "problem.hpp"

// What a mask hides must not matter, whatever it is: unwritten slots of a cache, or another document that went wrong.
// What it shows must. For every processor: see on_cpu.hpp.

namespace test {

// The first `count` of five.
template <class T>
std::vector<T> hostile_values(std::size_t count) {
    const float largest = std::same_as<T, float>      ? std::numeric_limits<float>::max()
                          : std::same_as<T, bfloat16> ? 0x1.fep127F
                                                      : 65504.0F;
    std::vector<T> values;
    for (const float each : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                             -std::numeric_limits<float>::infinity(), largest, -largest}) {
        values.push_back(static_cast<T>(each));
    }
    values.resize(count);
    return values;
}

// Whether some part of a [positions, heads, columns] tensor, one position or one (position, head), has the same bits.
template <class T>
bool same_part(const std::vector<T>& a, const std::vector<T>& b, std::size_t part, std::size_t parts) {
    const std::size_t size = a.size() / parts;
    return std::memcmp(a.data() + part * size, b.data() + part * size, size * sizeof(T)) == 0;
}

// A problem of one sequence, and which of its keys each row sees.
template <class Calls, class Sink, class T>
class hidden_check {
public:
    hidden_check(const problem<T>& input, const any_mask& mask, const any_mask& mask_of_kernels, index_t offset)
        : mask_(mask), mask_of_kernels_(mask_of_kernels), offset_(offset),
          rows_(static_cast<std::size_t>(input.size.query_length)),
          keys_(static_cast<std::size_t>(input.size.key_length)), input_(input), expected_(input) {}

    // With these keys and queries 0, or as they are.
    void check(const std::vector<std::size_t>& bad_keys, const std::vector<std::size_t>& bad_rows, T bad) {
        expected_ = solved(bad_keys, bad_rows, T(0.0F));
        const problem<T> got = solved(bad_keys, bad_rows, bad);
        std::vector<bool> row_is_bad(rows_, false);
        for (const std::size_t row : bad_rows) {
            row_is_bad[row] = true;
        }
        for (const std::size_t key : bad_keys) {
            for (std::size_t row = 0; row < rows_; ++row) {
                row_is_bad[row] = row_is_bad[row] || sees(row, key);
            }
        }
        std::vector<bool> key_is_bad(keys_, false); // for gradients, that come from rows
        for (std::size_t row = 0; row < rows_; ++row) {
            for (std::size_t key = 0; row_is_bad[row] && key < keys_; ++key) {
                key_is_bad[key] = key_is_bad[key] || sees(row, key);
            }
        }
        std::size_t wrong = 0;
        for (std::size_t row = 0; row < rows_; ++row) {
            if (!row_is_bad[row]) {
                wrong += !same_part(got.output, expected_.output, row, rows_);
                wrong += !same_part(got.d_query, expected_.d_query, row, rows_);
                for (std::size_t head = 0; head < heads(); ++head) {
                    const std::size_t at = head * rows_ + row;
                    wrong += !same_part(got.log_sum_exp, expected_.log_sum_exp, at, heads() * rows_);
                }
            }
        }
        for (std::size_t key = 0; key < keys_; ++key) {
            if (!key_is_bad[key]) {
                wrong += !same_part(got.d_key, expected_.d_key, key, keys_);
                wrong += !same_part(got.d_value, expected_.d_value, key, keys_);
                for (std::size_t head = 0; head < heads(); ++head) {
                    wrong += !same_part(got.received, expected_.received, head * keys_ + key, heads() * keys_);
                }
            }
        }
        CAPTURE(static_cast<float>(bad));
        CHECK(wrong == 0);
    }

private:
    [[nodiscard]] std::size_t heads() const { return static_cast<std::size_t>(input_.size.heads); }
    [[nodiscard]] bool sees(std::size_t row, std::size_t key) const {
        return mask_.visible(offset_ + static_cast<index_t>(row), static_cast<index_t>(key));
    }

    [[nodiscard]] problem<T> solved(const std::vector<std::size_t>& bad_keys, const std::vector<std::size_t>& bad_rows,
                                    T bad) const {
        problem<T> result = input_.fresh();
        const auto spoil = [&](std::vector<T>& values, std::size_t part, std::size_t parts) {
            const std::size_t size = values.size() / parts;
            std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(part * size), size, bad);
        };
        for (const std::size_t key : bad_keys) {
            spoil(result.key, key, keys_);
            spoil(result.value, key, keys_);
        }
        for (const std::size_t row : bad_rows) {
            spoil(result.query, row, rows_);
            spoil(result.d_output, row, rows_);
        }
        Calls::template run<Sink>(result, mask_of_kernels_, {.query_offset = offset_});
        return result;
    }

    const any_mask& mask_;
    const any_mask& mask_of_kernels_;
    index_t offset_;
    std::size_t rows_;
    std::size_t keys_;
    const problem<T>& input_;
    problem<T> expected_;
};

template <class Calls, class Sink, class T>
void check_every_mask_hides(unsigned seed) {
    std::mt19937 random(seed);
    for (const std::array<index_t, 3>& size : {std::array<index_t, 3>{70, 75, 0}, {1, 40, 33}, {3, 300, 270}}) {
        const index_t queries = size[0];
        const index_t keys = size[1];
        const index_t offset = size[2];
        const index_t positions = std::max(queries + offset, keys);
        const std::vector<range> documents = some_documents(positions);
        const problem<T> input({1, queries, keys, 2, 1, 24}, random);
        const typename Calls::ranges documents_of_kernels(documents);
        const auto all = masks(positions, documents);
        const auto of_kernels = masks(positions, {documents_of_kernels.data(), documents.size()});
        for (std::size_t number = 0; number < all.size(); ++number) {
            const any_mask& mask = all[number].second;
            const std::string& mask_name = all[number].first;
            CAPTURE(mask_name);
            CAPTURE(queries);
            hidden_check<Calls, Sink, T> hidden(input, mask, of_kernels[number].second, offset);
            for (const T bad : hostile_values<T>(Calls::hostile_values)) {
                const auto some = [&](index_t count) {
                    return std::vector<std::size_t>{
                        std::uniform_int_distribution<std::size_t>(0, static_cast<std::size_t>(count) - 1)(random)};
                };
                hidden.check(some(keys), {}, bad);
                hidden.check({}, some(queries), bad);
            }
            std::vector<std::size_t> unwritten; // of a cache
            for (index_t key = 0; key < keys; ++key) {
                index_t row = 0;
                for (; row < queries && !mask.visible(offset + row, key); ++row) {
                }
                if (row == queries) {
                    unwritten.push_back(static_cast<std::size_t>(key));
                }
            }
            hidden.check(unwritten, {}, hostile_values<T>(1).front());
        }
    }
}

// Rows that see a key of NaN: NaN in everything that depends on them.
template <class Calls, class T>
void check_nan_is_told(unsigned seed) {
    std::mt19937 random(seed);
    const index_t length = 70;
    const std::vector<range> documents = some_documents(length);
    const typename Calls::ranges documents_of_kernels(documents);
    const auto all = masks(length, documents);
    const auto of_kernels = masks(length, {documents_of_kernels.data(), documents.size()});
    for (std::size_t i = 0; i < 2 * all.size(); ++i) {
        const std::size_t number = i / 2;
        attention_options options;
        if (i % 2 == 1) {
            options.scale = 0.0F; // times which NaN is NaN as well
        }
        CAPTURE(options.scale.has_value());
        const any_mask& mask = all[number].second;
        const std::string& mask_name = all[number].first;
        CAPTURE(mask_name);
        const index_t bad = std::uniform_int_distribution<index_t>(0, length - 1)(random);
        CAPTURE(bad);
        problem<T> p({1, length, length, 1, 1, 8}, random);
        std::fill_n(p.key.begin() + bad * 8, 8, static_cast<T>(std::numeric_limits<float>::quiet_NaN()));
        for (std::vector<T>* written : {&p.output, &p.d_query, &p.d_key, &p.d_value}) {
            std::fill(written->begin(), written->end(), T(0.0F)); // where nothing was written, NaN would prove nothing
        }
        std::fill(p.log_sum_exp.begin(), p.log_sum_exp.end(), 0.0F);
        std::fill(p.received.begin(), p.received.end(), 0.0F);
        Calls::template run<no_sink>(p, of_kernels[number].second, options);
        const auto is_nan = [](const std::vector<T>& values, index_t position) {
            return std::all_of(values.begin() + position * 8, values.begin() + position * 8 + 8,
                               [](T value) { return std::isnan(static_cast<float>(value)); });
        };
        for (index_t row = 0; row < length; ++row) {
            if (!mask.visible(row, bad)) {
                CHECK(!std::isnan(p.log_sum_exp[static_cast<std::size_t>(row)]));
                continue;
            }
            CHECK(is_nan(p.output, row));
            CHECK(is_nan(p.d_query, row));
            CHECK(std::isnan(p.log_sum_exp[static_cast<std::size_t>(row)]));
            for (index_t key = 0; key < length; ++key) {
                if (mask.visible(row, key)) {
                    CHECK(std::isnan(p.received[static_cast<std::size_t>(key)]));
                    CHECK((is_nan(p.d_key, key) && is_nan(p.d_value, key)));
                }
            }
        }
    }
}

} // namespace test
