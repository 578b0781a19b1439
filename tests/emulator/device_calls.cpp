// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "device_calls.hpp"

#include <cstring>

#include <unmask/tensor/float_types.hpp>

#include "block.hpp"

namespace emulator {
namespace {

void land(const pending_copy& copy) {
    if (copy.from != nullptr) {
        std::memcpy(copy.to, copy.from, 16);
    } else {
        std::memset(copy.to, 0, 16);
    }
}

// A product of two 16-bit numbers is exact in float.
template <class T, class Lanes>
void multiply_add(const Lanes& lanes) {
    const auto value = [](std::uint32_t pair, int which) {
        T number;
        number.bits = static_cast<std::uint16_t>(pair >> (16 * which));
        return static_cast<float>(number);
    };
    float a[16][16];
    float b[16][8];
    for (int l = 0; l < 32; ++l) {
        for (int i = 0; i < 4; ++i) {
            for (int high = 0; high < 2; ++high) {
                a[l / 4 + 8 * (i % 2)][2 * (l % 4) + 8 * (i / 2) + high] = value(lanes(l).a[i], high);
            }
        }
        for (int i = 0; i < 2; ++i) {
            for (int high = 0; high < 2; ++high) {
                b[2 * (l % 4) + 8 * i + high][l / 4] = value(lanes(l).b[i], high);
            }
        }
    }
    float product[16][8]{};
    for (int row = 0; row < 16; ++row) {
        for (int k = 0; k < 16; ++k) {
            for (int column = 0; column < 8; ++column) {
                product[row][column] += a[row][k] * b[k][column];
            }
        }
    }
    for (int l = 0; l < 32; ++l) {
        for (int i = 0; i < 4; ++i) {
            lanes(l).c[i] += product[l / 4 + 8 * (i / 2)][2 * (l % 4) + i % 2];
        }
    }
}

// Each lane gets the value of the lane that it names, its own if there is no such lane.
void exchange(const char* call, void* value, std::size_t bytes, int from, call_site where) {
    struct {
        std::uint64_t value;
        int from;
        std::uint64_t result;
    } self{0, from, 0};
    std::memcpy(&self.value, value, bytes);
    running_block->meet_in_warp(call, where, self, [](const auto& lanes) {
        for (int l = 0; l < 32; ++l) {
            const int other = lanes(l).from;
            lanes(l).result = lanes(0 <= other && other < 32 ? other : l).value;
        }
    });
    std::memcpy(value, &self.result, bytes);
}

} // namespace

int thread() {
    return running_block->thread();
}
int block() {
    return running_block->block();
}
std::byte* shared_memory() {
    return running_block->shared_memory();
}

void barrier(call_site where) {
    running_block->barrier(where);
}
void meet_in_block(const char* call, int threads, void* brought, call_site where,
                   const std::function<void(void* const*)>& work) {
    running_block->meet_in_block(call, threads, brought, where, work);
}
void warp_barrier(call_site where) {
    running_block->warp_barrier(where);
}

void shuffle_xor(void* value, std::size_t bytes, int mask, call_site where) {
    exchange("shuffle_xor", value, bytes, thread() % 32 ^ mask, where);
}
void shuffle(void* value, std::size_t bytes, std::uint32_t from, call_site where) {
    exchange("shuffle", value, bytes, static_cast<int>(from % 32), where);
}

std::uint32_t ballot(bool vote, call_site where) {
    struct {
        bool vote;
        std::uint32_t result;
    } self{vote, 0};
    running_block->meet_in_warp("ballot", where, self, [](const auto& lanes) {
        std::uint32_t votes = 0;
        for (int l = 0; l < 32; ++l) {
            votes |= static_cast<std::uint32_t>(lanes(l).vote) << l;
        }
        for (int l = 0; l < 32; ++l) {
            lanes(l).result = votes;
        }
    });
    return self.result;
}

void load(void* to, const void* from_global, std::size_t bytes) {
    const void* const code = __builtin_return_address(0);
    running_block->check_alignment(from_global, bytes, access_kind::read, code);
    running_block->check_device(from_global, bytes, access_kind::read, code);
    std::memcpy(to, from_global, bytes);
}

void copy_async(void* to_shared, const void* from_global, bool valid) {
    const void* const code = __builtin_return_address(0);
    block_runner& block = *running_block;
    block.check_alignment(to_shared, 16, access_kind::copy, code);
    block.check_shared(to_shared, 16, access_kind::copy, code);
    if (valid) {
        block.check_alignment(from_global, 16, access_kind::read, code);
        block.check_device(from_global, 16, access_kind::read, code);
    }
    ++(valid ? block.counted.copies : block.counted.invalid_copies);

    copy_queue& queue = block.copies();
    if (queue.copies.empty() || queue.copies.back().group != queue.open_group) {
        const copies when = current_settings().copies;
        queue.open_group_is_early = when == copies::early || (when == copies::random && block.toss_a_coin());
    }
    queue.copies.push_back({static_cast<std::byte*>(to_shared),
                            valid ? static_cast<const std::byte*>(from_global) : nullptr, queue.open_group,
                            queue.open_group_is_early, code});
    if (queue.open_group_is_early) {
        land(queue.copies.back());
    } else {
        std::memset(to_shared, 0xff, 16);
    }
}

void copy_16_bytes(void* to_global, const void* from_shared) {
    const void* const code = __builtin_return_address(0);
    running_block->check_alignment(from_shared, 16, access_kind::read, code);
    running_block->check_shared(from_shared, 16, access_kind::read, code);
    running_block->check_alignment(to_global, 16, access_kind::write, code);
    running_block->check_device(to_global, 16, access_kind::write, code);
    std::memcpy(to_global, from_shared, 16);
}

void commit_copies() {
    ++running_block->copies().open_group;
}

void wait_copies(int pending) {
    copy_queue& queue = running_block->copies();
    auto arrives = queue.copies.begin();
    for (; arrives != queue.copies.end() && arrives->group < queue.open_group - pending; ++arrives) {
        if (!arrives->has_landed) {
            land(*arrives);
        }
        running_block->end_copy(*arrives);
    }
    queue.copies.erase(queue.copies.begin(), arrives);
}

void load_matrices(std::uint32_t (&result)[4], const void* row, bool transposed, call_site where) {
    const void* const code = __builtin_return_address(0);
    running_block->check_alignment(row, 16, access_kind::read, code);
    running_block->check_shared(row, 16, access_kind::read, code);
    struct {
        const void* row;
        std::uint32_t* result;
    } self{row, result};
    const char* const name = transposed ? "load_matrices_transposed" : "load_matrices";
    running_block->meet_in_warp(name, where, self, [&](const auto& lanes) {
        std::uint16_t matrices[4][8][8];
        for (int l = 0; l < 32; ++l) {
            std::memcpy(matrices[l / 8][l % 8], lanes(l).row, 16);
        }
        for (int l = 0; l < 32; ++l) {
            for (int m = 0; m < 4; ++m) {
                const auto element = [&](int i) -> std::uint32_t {
                    const int along = 2 * (l % 4) + i;
                    const int across = l / 4;
                    return transposed ? matrices[m][along][across] : matrices[m][across][along];
                };
                lanes(l).result[m] = element(0) | element(1) << 16;
            }
        }
        ++running_block->counted.matrix_loads;
    });
}

void multiply_add(half type, float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
                  call_site where) {
    struct {
        half type;
        float* c;
        const std::uint32_t* a;
        std::uint32_t b[2];
    } self{type, c, a, {b0, b1}};
    running_block->meet_in_warp("multiply_add", where, self, [](const auto& lanes) {
        if (lanes(0).type == half::bfloat16) {
            multiply_add<unmask::bfloat16>(lanes);
        } else {
            multiply_add<unmask::float16>(lanes);
        }
        ++running_block->counted.multiply_adds;
    });
}

} // namespace emulator
