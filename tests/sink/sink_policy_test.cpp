// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <vector>

#include <doctest/doctest.h>

#include <unmask/sink/key_sink.hpp>
#include <unmask/sink/key_value_sink.hpp>
#include <unmask/sink/logit_sink.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/off_by_one_sink.hpp>
#include <unmask/sink/sink_policy.hpp>

using namespace unmask;

static_assert(sink_policy<no_sink> && !no_sink::present);
static_assert(sink_policy<off_by_one_sink> && off_by_one_sink::logit(3) == 0.0F);
static_assert(sink_policy<logit_sink> && !logit_sink::has_key && !logit_sink::has_value);
static_assert(sink_policy<key_sink> && key_sink::has_key && !key_sink::has_value);
static_assert(sink_policy<key_value_sink> && key_value_sink::has_key && key_value_sink::has_value);

// A user's own: every second head has a sink.
struct alternating_sink {
    static constexpr bool present = true;
    static constexpr bool has_key = false;
    static constexpr bool has_value = false;
    float strength;
    constexpr float logit(index_t head) const { return head % 2 == 0 ? strength : -1e30F; }
};
static_assert(sink_policy<alternating_sink>);

// What the concept asks for is asked for.
struct without_constants {
    static float logit(index_t) { return 0.0F; }
};
struct without_logit {
    static constexpr bool present = true;
    static constexpr bool has_key = false;
    static constexpr bool has_value = false;
};
struct without_value : key_sink {
    static constexpr bool has_value = true;
};
struct not_a_plain_value : off_by_one_sink {
    not_a_plain_value(const not_a_plain_value&) {}
};
static_assert(!sink_policy<without_constants>);
static_assert(!sink_policy<without_logit>);
static_assert(!sink_policy<without_value>);
static_assert(!sink_policy<not_a_plain_value>);

TEST_CASE("sinks read the row of their head, also from strided memory") {
    std::vector<float> memory(100);
    for (std::size_t i = 0; i < memory.size(); ++i) {
        memory[i] = static_cast<float>(i);
    }
    const logit_sink logits{view(memory.data(), 4)};
    CHECK(logits.logit(3) == 3.0F);

    tensor_view<const float, 2> keys = view(memory.data(), 3, 8);
    keys.strides[0] = 10;
    const key_sink sink{keys};
    CHECK(sink.key(2)[1] == 21.0F);

    const key_value_sink both{keys, view(memory.data() + 50, 3, 8)};
    CHECK(both.key(1)[0] == 10.0F);
    CHECK(both.value(1)[7] == 65.0F);
}
