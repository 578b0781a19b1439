// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "command_line.hpp"

using namespace examples;

namespace {

command_line options_of(std::vector<std::string> words) {
    words.insert(words.begin(), "program");
    std::vector<char*> pointers;
    for (std::string& word : words) {
        pointers.push_back(word.data());
    }
    return {static_cast<int>(pointers.size()), pointers.data()};
}

// What is said when these words are used so.
template <class Use>
std::string complaint(const std::vector<std::string>& words, const Use& use) {
    try {
        command_line options = options_of(words);
        use(options);
        return "";
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
}

} // namespace

TEST_CASE("options are read, and unknown ones refused") {
    command_line options = options_of({"--steps", "20", "--rate", "-1e-3", "--quiet", "--name", "x"});
    CHECK(options.integer("steps", 1) == 20);
    CHECK(options.integer("batch", 16, {100, 200}) == 16);
    CHECK(options.number("rate", 0.0) == -1e-3);
    CHECK(options.number("other", 0.5) == 0.5);
    CHECK(options.flag("quiet"));
    CHECK(options.has("quiet"));
    CHECK_FALSE(options.flag("loud"));
    CHECK(options.text("title", "none") == "none");
    CHECK_THROWS_WITH_AS(options.finish(), "there is no option --name", std::invalid_argument);
    CHECK(options.text("name", "") == "x");
    CHECK_NOTHROW(options.finish());
    CHECK(options_of({"--n", "1", "--n", "2"}).integer("n", 0) == 2);
}

TEST_CASE("a wrong command line is told so in its own words") {
    const auto nothing = [](command_line&) {};
    const auto text = [](command_line& options) { options.text("prompt", ""); };
    const auto integer = [](command_line& options) { options.integer("n", 1, {1, 9}); };
    const auto number = [](command_line& options) { options.number("x", 1.0); };
    const auto flag = [](command_line& options) { options.flag("quiet"); };
    CHECK(complaint({"word"}, nothing) == "'word' belongs to no option");
    CHECK(complaint({"--prompt", "In", "the"}, nothing) == "'the' belongs to no option");
    CHECK(complaint({"--prompt"}, text) == "--prompt needs a value");
    CHECK(complaint({"--prompt", "--n", "3"}, text) == "--prompt needs a value");
    CHECK(complaint({"--prompt", ""}, text) == "--prompt is empty, expected at least one character");
    CHECK(complaint({"--prompt", " "}, text).empty());
    CHECK(complaint({"--n"}, integer) == "--n needs a value");
    CHECK(complaint({"--n", "9"}, integer).empty());
    for (const char* wrong :
         {"", "0", "10", "-1", "+1", " 1", "1 ", "1.0", "1e0", "abc", "1abc", "99999999999999999999"}) {
        CHECK(complaint({"--n", wrong}, integer) ==
              "--n is '" + std::string(wrong) + "', expected an integer from 1 to 9");
    }
    CHECK(complaint({"--x"}, number) == "--x needs a value");
    for (const char* wrong : {"", "abc", "1x", "nan", "inf", "-inf", "1e999"}) {
        CHECK(complaint({"--x", wrong}, number) == "--x is '" + std::string(wrong) + "', expected a number");
    }
    CHECK(complaint({"--quiet", "yes"}, flag) == "--quiet is 'yes', expected no value");
    CHECK(complaint({"--quiet", ""}, flag) == "--quiet is '', expected no value");

    const auto both = [](command_line& options) { options.refuse_beside("prompt", "infill", "one is enough"); };
    CHECK(complaint({"--infill", "a", "--prompt", "b"}, both) == "--prompt is given beside --infill: one is enough");
    CHECK(complaint({"--infill", "a"}, both).empty());
    CHECK(complaint({"--prompt", "b"}, both).empty());
}

TEST_CASE("integers say which they are") {
    CHECK(integers{}.description() == "an integer");
    CHECK(integers{1}.description() == "an integer from 1 on");
    CHECK(integers{-2, 7}.description() == "an integer from -2 to 7");
    CHECK(integers{integers::lowest, 7}.description() == "an integer to 7");
    CHECK(integers{}.parse("-9223372036854775808") == integers::lowest);
    CHECK(integers{}.parse("9223372036854775807") == integers::highest);
    CHECK_FALSE(integers{}.parse("9223372036854775808"));
    CHECK_FALSE(integers{}.parse(""));
}
