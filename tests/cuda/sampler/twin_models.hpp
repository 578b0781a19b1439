// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/random/philox.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/device_denoiser.cuh>
#include <unmask/tensor/float_types.hpp>
#include <unmask/tensor/tensor_view.hpp>

namespace test {

using namespace unmask;
namespace device = unmask::detail::device;

// A model of noise: what it says of a position depends on every token of the sequence. Exact, so that the one on the
// CPU and the one on the GPU are the same.
struct noise {
    std::uint32_t seed = 0;
    int bad_position = -1;  // its logits are NaN
    bool forgetful = false; // it reads no text, and has few opinions
    int unwritten = -1;     // position whose logits the model does not write

    UNMASK_HOST_DEVICE float logit(const token_t* tokens, index_t length, index_t position, token_t token) const {
        if (forgetful) {
            return static_cast<float>((position * 7 + token * 5) % 13);
        }
        std::uint64_t text = seed;
        for (index_t i = 0; i < length; ++i) {
            text = (text ^ static_cast<std::uint64_t>(tokens[i])) * 0x9E3779B97F4A7C15U;
            text ^= text >> 29;
        }
        if (position == bad_position) {
            return detail::not_a_number;
        }
        const auto words =
            detail::philox_words(text, static_cast<std::uint64_t>(position), static_cast<std::uint64_t>(token));
        if (words.word[1] % 16 == 0) {
            return detail::minus_infinity;
        }
        return static_cast<float>(static_cast<int>(words.word[0] >> 16) - 32768) * 0x1p-12F; // in [−8, 8)
    }
};

template <class Logit, bool Shifts = false>
struct host_model {
    static constexpr bool shifts_logits = Shifts;
    unmask::vocabulary tokens;
    noise says;

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }
    void denoise(const canvas& page, std::span<const row> rows, tensor_view<Logit, 2> logits) const {
        for (std::size_t i = 0; i < rows.size(); ++i) {
            if (rows[i].position == says.unwritten) {
                continue;
            }
            const auto text = page.tokens(rows[i].sequence);
            for (token_t token = 0; token < tokens.size; ++token) {
                logits(static_cast<index_t>(i), token) =
                    Logit(says.logit(text.data(), std::ssize(text), rows[i].position, token));
            }
        }
    }
};

template <class Logit>
struct noise_parameters {
    noise says;
    const token_t* tokens;
    const index_t* offsets;
    const row* rows;
    const int* count;
    Logit* logits;
    index_t stride;
    token_t size;
};

// A block for each row.
template <class Logit>
UNMASK_KERNEL(64, 1)
void noise_kernel(noise_parameters<Logit> p) {
    if (device::block() >= *p.count) {
        return;
    }
    const row asked = p.rows[device::block()];
    if (asked.position == p.says.unwritten) {
        return;
    }
    const index_t begin = p.offsets[asked.sequence];
    const index_t length = p.offsets[asked.sequence + 1] - begin;
    for (token_t token = device::thread(); token < p.size; token += 64) {
        p.logits[device::block() * p.stride + token] =
            Logit(p.says.logit(p.tokens + begin, length, asked.position, token));
    }
}

template <class Logit, bool Shifts = false>
struct device_model {
    static constexpr bool on_device = true;
    static constexpr bool shifts_logits = Shifts;
    unmask::vocabulary tokens;
    noise says;
    mutable int calls = 0;

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }
    void denoise(const cuda_executor& exec, const device_canvas& page, const device_rows& rows,
                 tensor_view<Logit, 2> logits) const {
        ++calls;
        if (logits.strides[0] % 8 != 0 || reinterpret_cast<std::uintptr_t>(logits.data) % 16 != 0) {
            throw std::logic_error("warps can't load several of these logits at once");
        }
        detail::launch(&noise_kernel<Logit>, static_cast<int>(rows.most), 64, 0, exec.stream,
                       noise_parameters<Logit>{says, page.tokens, page.offsets, rows.rows, rows.count, logits.data,
                                               logits.strides[0], tokens.size});
    }
};

struct streaming_parameters {
    noise says;
    const token_t* tokens;
    const index_t* offsets;
    const row* rows;
    const int* count;
    device_logits_stream stream;
    int size;
    int tile;      // at a time
    int forgotten; // row that is not written to its end
    int skipped;   // row that is not written at all
};

// A warp for each row. It computes a tile in shared memory, and forgets it.
template <class Parameters>
UNMASK_KERNEL(32, 1)
void streaming_kernel(Parameters p) {
    if (device::block() >= *p.count) {
        return;
    }
    auto* const tile = reinterpret_cast<float*>(device::shared_memory());
    const row asked = p.rows[device::block()];
    const index_t begin = p.offsets[asked.sequence];
    const index_t length = p.offsets[asked.sequence + 1] - begin;
    if (asked.position == p.skipped) {
        return;
    }
    const int end = asked.position == p.forgotten ? p.size / 2 : p.size;
    device_logits_stream::row_writer writer(p.stream, device::block());
    for (int first = 0; first < end; first += p.tile) {
        const int count = end - first < p.tile ? end - first : p.tile;
        for (int i = device::lane(); i < count; i += 32) {
            tile[i] = p.says.logit(p.tokens + begin, length, asked.position, first + i);
        }
        device::warp_barrier();
        writer.write(tile, count);
        device::warp_barrier();
    }
    writer.finish();
}

struct streaming_model {
    static constexpr bool on_device = true;
    unmask::vocabulary tokens;
    noise says;
    int tile = 1024;
    int forgotten = -1;
    int skipped = -1;

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }
    void denoise(const cuda_executor& exec, const device_canvas& page, const device_rows& rows,
                 const device_logits_stream& stream) const {
        detail::launch(&streaming_kernel<streaming_parameters>, static_cast<int>(rows.most), 32,
                       static_cast<std::size_t>(tile) * sizeof(float), exec.stream,
                       streaming_parameters{says, page.tokens, page.offsets, rows.rows, rows.count, stream,
                                            static_cast<int>(tokens.size), tile, forgotten, skipped});
    }
};

} // namespace test
