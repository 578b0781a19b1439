// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdint>
#include <span>

#include <unmask/sampler/sampler.hpp>

// What the sampler's other files here break, one thing at a time.
struct model {
    unmask::vocabulary vocabulary() const { return {.size = 3, .mask = 2, .end = {}}; }
    void denoise(const unmask::canvas&, std::span<const unmask::row>, unmask::tensor_view<float, 2>) const {}
};

struct shortest_first {
    static constexpr auto kind = unmask::policy_kind::score;
    unmask::score operator()(const unmask::candidate& it) const { return {-static_cast<double>(it.where.position)}; }
};

void fill(unmask::canvas& canvas) {
    const unmask::sampler sampler{unmask::steps{4}, shortest_first{}};
    const model fixed;
    sampler(unmask::cpu_executor{}, fixed, canvas, 1);
    sampler(unmask::cpu_executor{}, model{}, canvas, 1, [](const unmask::sampler_step& step) { return step.call < 3; });
}
