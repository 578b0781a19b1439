// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <vector>

#include <doctest/doctest.h>

#include <unmask/sampler/detail/step/choose.hpp>
#include <unmask/sampler/schedule/schedule.hpp>

using namespace unmask;

namespace {

// The quotas of one block, those of steps that make no call included.
template <class Schedule>
std::vector<index_t> quotas(const Schedule& schedule, index_t steps, index_t total) {
    std::vector<index_t> result;
    index_t masked = total;
    for (index_t step = 0; step < steps && masked > 0; ++step) {
        result.push_back(detail::share_of(schedule, schedule_step{step, steps, total, masked}).quota);
        masked -= result.back();
    }
    return result;
}

// get_num_transfer_tokens of LLaDA's generate.py, for one row.
std::vector<index_t> llada_quotas(index_t steps, index_t total) {
    std::vector<index_t> result(static_cast<std::size_t>(steps), total / steps);
    for (index_t i = 0; i < total % steps; ++i) {
        ++result[static_cast<std::size_t>(i)];
    }
    std::erase(result, 0);
    return result;
}

template <class Schedule>
void check_partition(const Schedule& schedule) {
    for (index_t total = 1; total <= 64; ++total) {
        for (index_t steps = 1; steps <= 64; ++steps) {
            CAPTURE(total);
            CAPTURE(steps);
            index_t sum = 0;
            index_t smallest = total;
            const auto all = quotas(schedule, steps, total);
            for (const index_t quota : all) {
                sum += quota;
                smallest = std::min(smallest, quota);
            }
            REQUIRE(sum == total);
            REQUIRE(smallest >= 1);
            REQUIRE(std::ssize(all) == std::min(steps, total));
        }
    }
}

} // namespace

TEST_CASE("every schedule is an exact partition without empty steps, for all N and S up to 64") {
    check_partition(unmask::steps{});
    check_partition(cosine_steps{});
    check_partition(timesteps{});
    check_partition(timesteps{.epsilon = 0});
    check_partition(timesteps{.epsilon = 0.5});
}

TEST_CASE("steps is LLaDA's partition") {
    for (index_t total = 1; total <= 64; ++total) {
        for (index_t count = 1; count <= 64; ++count) {
            REQUIRE(quotas(unmask::steps{}, count, total) == llada_quotas(count, total));
        }
    }
}

TEST_CASE("cosine_steps rounds 64 cos(pi/2 x): worked by hand") {
    CHECK(quotas(cosine_steps{}, 8, 64) == std::vector<index_t>{1, 4, 6, 8, 9, 12, 12, 12});
}

TEST_CASE("timesteps: the exact partition is close to even, the floor is Dream's") {
    CHECK(quotas(timesteps{}, 4, 128) == std::vector<index_t>{32, 32, 32, 32});
    const timesteps floor{.floor_quota = true};
    for (const index_t size : {128, 256, 512}) {
        const auto all = quotas(floor, size, size);
        CHECK(all.front() == 0); // a call that Dream wastes
        CHECK(all.back() == 2);
    }
    const auto all = quotas(floor, 32, 128);
    CHECK(all.back() == 5);
    for (std::size_t i = 0; i + 1 < all.size(); ++i) {
        CHECK(all[i] <= 4);
    }
}

TEST_CASE("the ancestral probability is 1 - s/t, and 1 at the last step") {
    for (index_t step = 0; step < 10; ++step) {
        const double expected = step == 9 ? 1.0 : 1.0 / static_cast<double>(10 - step);
        CHECK(detail::share_of(unmask::steps{}, schedule_step{step, 10, 64, 5}).probability ==
              doctest::Approx(expected));
    }
    const double t = 1 - 3 * 0.999 / 8;
    const double s = 1 - 4 * 0.999 / 8;
    CHECK(detail::share_of(timesteps{}, schedule_step{3, 8, 64, 5}).probability == doctest::Approx(1 - s / t));
    CHECK(detail::share_of(timesteps{}, schedule_step{7, 8, 64, 5}).probability == 1);
}
