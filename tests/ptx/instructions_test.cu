// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The machine against the host: the same functions compiled for both, and intrinsics against what they are defined to
// be.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/cuda/runtime/calls.cuh>

#include "../cuda/attention/device_memory.hpp"

namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s64 = std::int64_t;

struct input {
    u32 a, b, c;
    u64 x, y;
    float f, g, h;
    double d, e;
};

template <class To, class From>
__host__ __device__ To bits(From from) {
    return __builtin_bit_cast(To, from);
}
__host__ __device__ u64 of(float f) {
    return f != f ? 1 : bits<u32>(f); // NaN is NaN
}
__host__ __device__ u64 of(double d) {
    return d != d ? 1 : bits<u64>(d);
}

constexpr int results = 28;
constexpr int special_results = 20;

__host__ __device__ void apply(const input& i, u64* out) {
    const int a = static_cast<int>(i.a);
    const int b = static_cast<int>(i.b);
    const int divisor = b == -1 || b == 0 ? 7 : b;
    *out++ = i.a + i.b * i.c;
    *out++ = i.b != 0 ? i.a / i.b : 0;
    *out++ = i.b != 0 ? i.a % i.b : 0;
    *out++ = static_cast<u64>(a / divisor);
    *out++ = static_cast<u64>(a % divisor);
    *out++ = i.x * i.y;
    *out++ = i.y != 0 ? i.x / i.y : 0;
    *out++ = static_cast<u64>(static_cast<s64>(i.x) >> (i.c & 63));
    *out++ = static_cast<u64>(a >> (i.c & 31));
    *out++ = (i.a << (i.c & 31)) ^ (i.b >> (i.c & 31));
    *out++ = static_cast<u64>(static_cast<std::int16_t>(i.a)) + static_cast<u64>(static_cast<signed char>(i.b));
    *out++ = static_cast<u64>(a) * static_cast<u64>(b);
    *out++ = a < b ? 1 : i.a < i.b ? 2 : 3;
    *out++ = of(fmaf(i.f, i.g, i.h));
    *out++ = of(i.f / i.g);
    *out++ = of(sqrtf(fabsf(i.f)));
    *out++ = of(fma(i.d, i.e, 1.5));
    *out++ = of(i.d / i.e);
    *out++ = of(static_cast<float>(i.d));
    *out++ = of(static_cast<double>(i.f));
    *out++ = of(static_cast<float>(static_cast<s64>(i.x)));
    *out++ = of(static_cast<double>(i.x));
    *out++ = of(static_cast<float>(i.a));
    *out++ = fabs(i.d) < 1e15 ? static_cast<u64>(static_cast<s64>(i.d)) : 0;
    *out++ = fabsf(i.f) < 1e9F ? static_cast<u64>(static_cast<int>(i.f)) : 0;
    *out++ =
        static_cast<u64>((i.f < i.g) + 2 * (i.f <= i.g) + 4 * (i.f == i.g) + 8 * (i.f != i.g) + 16 * !(i.f >= i.g));
    *out++ = of(floorf(i.f)) ^ of(ceilf(i.g)) ^ of(truncf(i.h)) ^ of(rintf(i.f));
    const float sum = fmaxf(i.f, i.g) + fminf(i.f, i.h);
    *out++ = sum == 0 ? 0 : of(sum); // C++ says nothing about the signs of zeros here
}

struct parameters {
    const input* in;
    u64* out;
    u64* special;
};

__global__ void apply_on_device(parameters p) {
    const int t = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    const input i = p.in[t];
    apply(i, p.out + t * results);
    u64* out = p.special + t * special_results;
    *out++ = static_cast<u64>(__clz(static_cast<int>(i.a)));
    *out++ = static_cast<u64>(__popcll(i.x));
    *out++ = __brev(i.a);
    *out++ = __byte_perm(i.a, i.b, i.c);
    *out++ = __funnelshift_l(i.a, i.b, i.c);
    *out++ = __funnelshift_rc(i.a, i.b, i.c);
    *out++ = __umulhi(i.a, i.b);
    *out++ = __umul64hi(i.x, i.y);
    *out++ = static_cast<u64>(__ffsll(static_cast<long long>(i.x)));
    *out++ = __shfl_xor_sync(~0U, i.a, 5);
    *out++ = __shfl_sync(~0U, i.a, 3, 8);
    *out++ = __shfl_up_sync(~0U, i.a, 2);
    *out++ = __shfl_down_sync(~0U, i.a, 3, 16);
    *out++ = __ballot_sync(~0U, (i.a & 1) != 0);
    // Lanes part, and meet again.
    u32 steps = 0;
    for (u32 x = i.a & 31; x != 0; --x) {
        steps += x;
    }
    *out++ = __shfl_xor_sync(~0U, steps, 1);
    *out++ = static_cast<u64>(__any_sync(~0U, i.b == 7)) + 2 * static_cast<u64>(__all_sync(~0U, i.c < 32));
    *out++ = static_cast<u64>(__syncthreads_count((i.a & 2) != 0));
    *out++ = static_cast<u64>(__syncthreads_or(i.b == 7) != 0);
    *out++ = static_cast<u64>(__syncthreads_and(i.c < 63) != 0);
    *out++ = __reduce_max_sync(~0U, i.a);
}

constexpr int threads = 4096;
constexpr int block_threads = 128;

// The same of thread t, from the inputs of all.
std::array<u64, special_results> expected_special(const std::vector<input>& in, int t) {
    const input& i = in[static_cast<std::size_t>(t)];
    const int lane = t % 32;
    const input* const warp = in.data() + (t - lane);
    const auto a = [&](int other) { return u64{warp[other].a}; };
    const u64 bytes = static_cast<u64>(i.b) << 32 | i.a;
    std::array<u64, special_results> own{};
    own[0] = static_cast<u64>(std::countl_zero(i.a));
    own[1] = static_cast<u64>(std::popcount(i.x));
    for (int b = 0; b < 32; ++b) {
        own[2] |= static_cast<u64>(i.a >> b & 1) << (31 - b);
    }
    for (int b = 0; b < 4; ++b) {
        own[3] |= (bytes >> (8 * (i.c >> (4 * b) & 7)) & 255) << (8 * b);
    }
    own[4] = (bytes << (i.c & 31)) >> 32;
    own[5] = static_cast<u32>(bytes >> std::min(i.c, 32U));
    own[6] = static_cast<u64>(i.a) * i.b >> 32;
    own[7] = static_cast<u64>(static_cast<unsigned __int128>(i.x) * i.y >> 64);
    own[8] = i.x == 0 ? 0 : static_cast<u64>(std::countr_zero(i.x)) + 1;
    own[9] = a(lane ^ 5);
    own[10] = a(lane / 8 * 8 + 3);
    own[11] = a(lane < 2 ? lane : lane - 2);
    own[12] = a(lane % 16 + 3 < 16 ? lane + 3 : lane);
    bool any = false;
    bool all = true;
    for (int k = 0; k < 32; ++k) {
        own[13] |= (a(k) & 1) << k;
        any = any || warp[k].b == 7;
        all = all && warp[k].c < 32;
        own[19] = std::max(own[19], a(k));
    }
    const u64 x = a(lane ^ 1) & 31;
    own[14] = x * (x + 1) / 2;
    own[15] = static_cast<u64>(any) + 2 * static_cast<u64>(all);
    const auto block = in.begin() + t / block_threads * block_threads;
    own[16] = static_cast<u64>(
        std::count_if(block, block + block_threads, [](const input& each) { return (each.a & 2) != 0; }));
    own[17] = std::any_of(block, block + block_threads, [](const input& each) { return each.b == 7; }) ? 1 : 0;
    own[18] = std::all_of(block, block + block_threads, [](const input& each) { return each.c < 63; }) ? 1 : 0;
    return own;
}

float some_float(std::mt19937_64& random) {
    switch (random() % 8) {
    case 0: {
        const auto any = bits<float>(static_cast<u32>(random()));
        return any != any ? std::nanf("") : any; // signalling ones are not the same everywhere
    }
    case 1:
        return -0.0F;
    case 2:
        return bits<float>(static_cast<u32>(random() % 0x800000)); // subnormal
    default:
        return static_cast<float>(static_cast<int>(random() % 2000001) - 1000000) * 0x1p-10F;
    }
}

std::vector<input> some_inputs() {
    std::mt19937_64 random(1);
    std::vector<input> in(threads);
    for (input& i : in) {
        i.a = static_cast<u32>(random() >> random() % 33);
        i.b = static_cast<u32>(random() >> random() % 33);
        i.b = random() % 200 == 0 ? 7 : i.b;
        i.c = static_cast<u32>(random() % 64);
        i.x = random() >> random() % 60;
        i.y = random() >> random() % 60;
        i.f = some_float(random);
        i.g = some_float(random);
        i.h = some_float(random);
        i.d = static_cast<double>(some_float(random)) * 3.7;
        i.e = static_cast<double>(some_float(random)) + 0.1;
    }
    return in;
}

struct float_sums {
    float* four; // that all threads add to
};

// As PTX for 9.0 has it, whatever this is compiled for.
__global__ void add_fours(float_sums p) {
    const auto to = static_cast<u64>(__cvta_generic_to_global(p.four));
    const float own = static_cast<float>(threadIdx.x);
    asm volatile("red.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to), "f"(own), "f"(2.0F * own), "f"(1.0F),
                 "f"(-own)
                 : "memory");
}

} // namespace

TEST_CASE("four floats are added at once") {
    const test::device_array<float> sums(std::vector<float>{0.0F, 10.0F, 20.0F, 30.0F});
    unmask::detail::launch(add_fours, 3, 64, 0, nullptr, float_sums{sums.data()});
    const float all = 3.0F * 63.0F * 32.0F;
    CHECK(sums.to_host() == std::vector<float>{all, 10.0F + 2.0F * all, 20.0F + 3.0F * 64.0F, 30.0F - all});
}

TEST_CASE("results are the host's, and those of intrinsics what they are defined to be") {
    const std::vector<input> in = some_inputs();
    const test::device_array<input> given(in);
    const test::device_array<u64> out(std::size_t{threads * results});
    const test::device_array<u64> special(std::size_t{threads * special_results});
    unmask::detail::launch(apply_on_device, threads / block_threads, block_threads, 0, nullptr,
                           parameters{given.data(), out.data(), special.data()});
    const std::vector<u64> got = out.to_host();
    const std::vector<u64> got_special = special.to_host();
    std::array<int, results> wrong{};
    std::array<int, special_results> wrong_special{};
    for (int t = 0; t < threads; ++t) {
        std::array<u64, results> expected{};
        apply(in[static_cast<std::size_t>(t)], expected.data());
        for (std::size_t n = 0; n < results; ++n) {
            wrong[n] += got[static_cast<std::size_t>(t) * results + n] != expected[n] ? 1 : 0;
        }
        const auto own = expected_special(in, t);
        for (std::size_t n = 0; n < special_results; ++n) {
            wrong_special[n] += got_special[static_cast<std::size_t>(t) * special_results + n] != own[n] ? 1 : 0;
        }
    }
    CHECK(wrong == std::array<int, results>{});
    CHECK(wrong_special == std::array<int, special_results>{});
}
