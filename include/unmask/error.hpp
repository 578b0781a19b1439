// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// Misuse of a public function. Thrown before any work is done: nothing has been written.
/// what() reads "attention_forward: heads is 6, expected a multiple of kv_heads (4)".
class invalid_argument : public std::invalid_argument {
public:
    /// An error of `function`, whose `argument` is `was` and should have been `expected`.
    invalid_argument(std::string_view function, std::string argument, std::string was, std::string expected)
        : std::invalid_argument(std::string(function) + ": " + argument + " is " + was + ", expected " + expected),
          argument_(std::move(argument)), was_(std::move(was)), expected_(std::move(expected)) {}

    /// The wrong argument, by the name in the function's documentation.
    [[nodiscard]] const std::string& argument() const noexcept { return argument_; }
    /// The argument's value, as text.
    [[nodiscard]] const std::string& was() const noexcept { return was_; }
    /// A description of valid values.
    [[nodiscard]] const std::string& expected() const noexcept { return expected_; }

private:
    std::string argument_;
    std::string was_;
    std::string expected_;
};

UNMASK_NAMESPACE_END
