// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cmath>
#include <limits>
#include <random>
#include <sstream>
#include <string>

#include <unmask/sampler/trace/html.hpp>
#include <unmask/sampler/trace/replay.hpp>
#include <unmask/sampler/trace/shade.hpp>
#include <unmask/sampler/trace/terminal.hpp>
#include <unmask/sampler/trace/text.hpp>
#include <unmask/sampler/trace/trace.hpp>

#include "models.hpp"

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 10, .mask = 9, .end = 0};
constexpr double minus_infinite = -std::numeric_limits<double>::infinity();

std::string letter(token_t token) {
    return token == 9 ? "[mask]" : std::string(1, static_cast<char>('a' + token));
}

trace::entry entry(index_t call, row where, token_t token, change kind, double score) {
    return {call, {where, token, {score}, std::min(score, 0.0), kind}};
}

std::string encode(std::uint32_t point) {
    const auto byte = [](std::uint32_t bits) { return static_cast<char>(static_cast<unsigned char>(bits)); };
    if (point < 0x80) {
        return {byte(point)};
    }
    if (point < 0x800) {
        return {byte(0xc0 | point >> 6), byte(0x80 | (point & 0x3f))};
    }
    if (point < 0x10000) {
        return {byte(0xe0 | point >> 12), byte(0x80 | (point >> 6 & 0x3f)), byte(0x80 | (point & 0x3f))};
    }
    return {byte(0xf0 | point >> 18), byte(0x80 | (point >> 12 & 0x3f)), byte(0x80 | (point >> 6 & 0x3f)),
            byte(0x80 | (point & 0x3f))};
}

index_t occurrences(const std::string& text, const std::string& what) {
    index_t count = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
        ++count;
    }
    return count;
}

std::string html_of(const canvas& before, const trace& what, const html_options& options = {}) {
    std::ostringstream out;
    write_html(out, before, what, letter, options);
    return out.str();
}

// What is in the element that holds the data, as the parser of HTML finds it.
std::string data_of(const std::string& html) {
    const std::string opening = "<script id=\"data\" type=\"application/json\">";
    const std::size_t begin = html.find(opening) + opening.size();
    return html.substr(begin, html.find("</", begin) - begin);
}

} // namespace

TEST_CASE("characters of UTF-8: all that there are, and nothing else") {
    index_t wrong = 0;
    for (std::uint32_t point = 0; point < 0x110000; point += point < 0x3000 ? 1 : 7) {
        const bool surrogate = point >= 0xd800 && point < 0xe000;
        wrong += detail::utf8_length(encode(point) + "x") == (surrogate ? 0 : encode(point).size()) ? 0 : 1;
    }
    CHECK(wrong == 0);
    CHECK(detail::utf8_length(encode(0x10ffff)) == 4);
    CHECK(detail::utf8_length(encode(0x110000)) == 0);
    CHECK(detail::utf8_length("") == 0);
    // Any first three bytes: well-formed if some character begins so.
    std::mt19937 random(3);
    for (int i = 0; i < 200000; ++i) {
        std::string text(1 + random() % 4, ' ');
        for (char& one : text) {
            one = static_cast<char>(random() % 2 == 0 ? 0x80 + random() % 0x80 : random() % 0x100);
        }
        const std::size_t length = detail::utf8_length(text);
        std::uint32_t point = 0;
        for (std::size_t size = 1; size <= text.size(); ++size) { // decoded without any rules, it must encode as it was
            const auto first = static_cast<unsigned char>(text[0]);
            point = size == 1 ? first & (first < 0x80   ? 0x7f
                                         : first < 0xe0 ? 0x1f
                                         : first < 0xf0 ? 0x0f
                                                        : 0x07)
                              : point << 6 | (static_cast<unsigned char>(text[size - 1]) & 0x3f);
            const bool real = point < 0x110000 && !(point >= 0xd800 && point < 0xe000);
            wrong += (real && encode(point) == text.substr(0, size)) == (size == length) ? 0 : 1;
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("text that could drive a terminal, or is none, is shown as signs") {
    using detail::shown_text;
    CHECK(shown_text("plain \n\ttext, ä € 𝄞") == "plain \n\ttext, ä € 𝄞");
    CHECK(shown_text("\033[2J\r\b\x7f") == "␛[2J␍␈␡");
    CHECK(shown_text(std::string("a\0b", 3)) == "a␀b");
    CHECK(shown_text("\xc2\x9b"
                     "2J") == "\xef\xbf\xbd"
                              "2J");
    CHECK(shown_text("\xe2\x82") == "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST_CASE("shades are ranks of scores, or probabilities") {
    std::mt19937 random(7);
    for (int round = 0; round < 200; ++round) {
        trace what;
        const std::size_t count = random() % 12;
        for (std::size_t i = 0; i < count; ++i) {
            const double score = random() % 9 == 0 ? minus_infinite : static_cast<double>(random() % 5) - 3;
            const auto kind = static_cast<change>(1 + random() % 5);
            what.entries.push_back(entry(0, {}, 1, kind, score == 0 && random() % 2 == 0 ? -0.0 : score));
        }
        const auto drawn = [](const trace::entry& it) {
            return it.what.change == change::commit || it.what.change == change::edit;
        };
        const auto below = [&](const trace::entry& it) {
            return std::count_if(what.entries.begin(), what.entries.end(), [&](const trace::entry& other) {
                return drawn(other) && other.what.score < it.what.score;
            });
        };
        index_t most = 0;
        for (const trace::entry& it : what.entries) {
            most = std::max(most, drawn(it) ? below(it) : 0);
        }
        const auto by_score = detail::shades_of(what, shade_by::score);
        const auto by_probability = detail::shades_of(what, shade_by::probability);
        for (std::size_t i = 0; i < count; ++i) {
            const trace::entry& it = what.entries[i];
            CHECK(by_score[i] ==
                  (!drawn(it) || most == 0 ? 1.0 : static_cast<double>(below(it)) / static_cast<double>(most)));
            CHECK(by_probability[i] == (drawn(it) ? std::exp(it.what.log_probability) : 1.0));
        }
    }
}

TEST_CASE("the terminal's view, worked out by hand") {
    canvas page(tokens);
    page.add(std::vector<token_t>{1, 9}, 4);
    page.add({}, 2);
    trace what;
    what.entries = {entry(0, {0, 2}, 2, change::commit, -3), entry(0, {0, 3}, 3, change::commit, -2),
                    entry(0, {1, 0}, 4, change::commit, -1), entry(1, {0, 2}, 9, change::remask, 0),
                    entry(1, {0, 3}, 5, change::edit, 0),    entry(1, {1, 1}, 0, change::fill, 0),
                    entry(2, {0, 4}, 6, change::commit, -1)};
    const auto at = [&](index_t call, const terminal_options& options = {}) {
        canvas now = page;
        replay_until(what, now, call);
        return to_terminal(now, what, call, letter, options);
    };
    // Scores −3, −2, −1, −1, 0 have shades 0, 1/4, 2/4, 2/4, 1 of 15 greys.
    CHECK(at(-1) == "\033[0;1mb[mask]\033[0;2m····\n\n··\033[0m\n");
    CHECK(at(0) == "\033[0;1mb[mask]\033[0;4;38;5;240mc\033[0;4;38;5;244md\033[0;2m··\n\n\033[0;4;38;5;248me"
                   "\033[0;2m·\033[0m\n");
    CHECK(at(1) ==
          "\033[0;1mb[mask]·\033[0;3;4;38;5;255mf\033[0;2m··\n\n\033[0;38;5;248me\033[0;4;38;5;255ma\033[0m\n");
    CHECK(at(2) == "\033[0;1mb[mask]\033[0;2m·\033[0;38;5;255mf\033[0;4;38;5;248mg\033[0;2m·\n\n"
                   "\033[0;38;5;248me\033[0;38;5;255ma\033[0m\n");
    CHECK(at(0, {.light_background = true}).find(";38;5;250mc") != std::string::npos);
    CHECK(at(1, {.light_background = true}).find(";38;5;232mf") != std::string::npos);
    CHECK(at(0, {.shade = shade_by::probability}).find(";38;5;241mc") != std::string::npos); // 240 + 15 · exp(−3)
    CHECK(to_terminal(canvas(tokens), {}, 0, letter) == "\033[0m\n");

    canvas noisy(tokens);
    noisy.add({}, 2);
    noisy.renoise(0, 1, 3);
    CHECK(to_terminal(noisy, {}, -1, letter) == "\033[0;2m·d\033[0m\n");
    CHECK_THROWS_WITH_AS(static_cast<void>(to_terminal(noisy, what, 0, letter)),
                         "to_terminal: position of trace.entries[0] is 2, expected one of the sequence",
                         invalid_argument);
}

TEST_CASE("the page has all the data, and nothing that leaves it") {
    canvas page(tokens);
    page.add(std::vector<token_t>{1, 9}, 2, 1ULL << 63);
    page.add({}, 1);
    trace what;
    what.entries = {entry(0, {0, 2}, 2, change::commit, minus_infinite), entry(3, {0, 2}, 9, change::remask, 0),
                    entry(3, {1, 0}, 0, change::fill, 0), entry(4, {0, 2}, 4, change::commit, -0.5)};
    const std::string html = html_of(page, what, {.title = "Über <b>"});
    CHECK(data_of(html) ==
          "{\"title\":\"Über \\u003cb\\u003e\",\"mask\":9,\"texts\":{\"0\":\"a\",\"1\":\"b\",\"2\":\"c\","
          "\"4\":\"e\",\"9\":\"[mask]\"},\n"
          "\"sequences\":[{\"id\":\"9223372036854775808\",\"tokens\":[1,9,9,9],\"states\":\"ppmm\"},\n"
          "{\"id\":\"1\",\"tokens\":[9],\"states\":\"m\"}],\n"
          "\"changes\":[[0,0,2,2,1,0,\"-inf\",\"-inf\"],\n[3,0,2,9,2,100,0,0],\n[3,1,0,0,5,100,0,0],\n"
          "[4,0,2,4,1,100,-0.5,-0.5]]}");
    CHECK(html.find("<title>Über &lt;b&gt;</title>") != std::string::npos);
    CHECK(html.starts_with("<!DOCTYPE html>"));
    CHECK(html.ends_with("</html>\n"));
    for (const char* loads : {"src=", "href", "@import", "url(", "fetch(", "import(", "https:", "XMLHttp"}) {
        CAPTURE(loads);
        CHECK(html.find(loads) == std::string::npos);
    }
    CHECK(occurrences(html, "http:") == 1); // the name of SVG

    trace wrong = what;
    wrong.entries[1].what.where.position = 0;
    std::ostringstream nothing;
    CHECK_THROWS_WITH_AS(write_html(nothing, page, wrong, letter),
                         "write_html: position of trace.entries[1] is 0, expected a committed one", invalid_argument);
    CHECK(nothing.str().empty());
    CHECK(data_of(html_of(canvas(tokens), {})).find("\"texts\":{},\n\"sequences\":[],\n\"changes\":[]") !=
          std::string::npos);
}

TEST_CASE("no text gets out of its place in the page") {
    const std::vector<std::string> texts{"</script><script>alert(1)</script>",
                                         "<!--<script>",
                                         "\"\\\"",
                                         "a\u2028b\u2029c",
                                         "\n\t",
                                         "&amp;'",
                                         "\xff\xe2\x80",
                                         std::string("\0\033", 2),
                                         "\u2027\u202a"};
    const std::vector<std::string> quoted{"\"\\u003c/script\\u003e\\u003cscript\\u003ealert(1)\\u003c/script\\u003e\"",
                                          "\"\\u003c!--\\u003cscript\\u003e\"",
                                          "\"\\\"\\\\\\\"\"",
                                          "\"a\\u2028b\\u2029c\"",
                                          "\"\\u000a\\u0009\"",
                                          "\"\\u0026amp;'\"",
                                          "\"\uFFFD\uFFFD\uFFFD\"",
                                          "\"␀␛\"",
                                          "\"\u2027\u202a\""};
    canvas page({.size = 10, .mask = 9});
    page.add(std::vector<token_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 3, 4}, 0);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        CHECK(detail::json_string(texts[i]) == quoted[i]);
        std::ostringstream out;
        index_t asked = 0;
        write_html(out, page, {},
                   [&](token_t token) {
                       ++asked;
                       return texts[(i + static_cast<std::size_t>(token)) % texts.size()];
                   },
                   {.title = texts[i]});
        CHECK(asked == 9);
        const std::string html = out.str();
        CHECK(occurrences(html, "<script") == 2);
        CHECK(occurrences(html, "</script") == 2);
        CHECK(occurrences(html, "</title>") == 1);
        CHECK(occurrences(html, "<!--") == 0);
        CHECK(data_of(html).find(quoted[i]) != std::string::npos);
        CHECK(data_of(html).find_first_of("<>&") == std::string::npos);
    }
}

TEST_CASE("the page's size is linear in the trace") {
    const auto size = [](index_t length) {
        canvas page(tokens);
        page.add({}, length);
        trace what;
        for (index_t i = 0; i < length; ++i) {
            what.entries.push_back(entry(i, {0, i}, 1, change::commit, -1.0 / static_cast<double>(i + 3)));
        }
        return static_cast<index_t>(html_of(page, what).size());
    };
    CHECK(size(0) < 16000);
    CHECK(size(2000) - size(1000) < 80 * 1000);
}
