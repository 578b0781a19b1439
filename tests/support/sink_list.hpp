// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <tuple>

#include <unmask/sink/key_sink.hpp>
#include <unmask/sink/key_value_sink.hpp>
#include <unmask/sink/logit_sink.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/off_by_one_sink.hpp>
#include <unmask/sink/sink_policy.hpp>

// Every sink policy of the library: one line each, from which tests and benchmarks take them. house.lists holds that
// none is missing, and that the tests of attention ask for each.

namespace test {

using namespace unmask;

template <sink_policy Sink>
struct listed_sink {
    using policy = Sink;

    const char* name;
};

inline constexpr std::tuple sink_list{
    listed_sink<no_sink>{"no_sink"},
    listed_sink<off_by_one_sink>{"off_by_one_sink"},
    listed_sink<logit_sink>{"logit_sink"},
    listed_sink<key_sink>{"key_sink"},
    listed_sink<key_value_sink>{"key_value_sink"},
};

template <sink_policy Sink>
constexpr const char* sink_name() {
    return std::get<listed_sink<Sink>>(sink_list).name;
}

} // namespace test
