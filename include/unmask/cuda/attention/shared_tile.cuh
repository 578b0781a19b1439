// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/device.cuh>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// Rows × Columns elements of 16 bits in shared memory, in chunks of 8 elements. Columns are cut into pages of 64 (32
// where 64 doesn't divide), and chunks within a line of 128 bytes are permuted by the line's number, so that the eight
// rows of a matrix that load_matrices reads lie in different banks.
template <int Rows, int Columns>
struct shared_tile {
    static constexpr int page = Columns % 64 == 0 ? 64 : 32;
    static constexpr int chunks = Columns / 8;
    static constexpr int bytes = Rows * Columns * 2;
    static_assert(Columns % page == 0 && Rows % 8 == 0);

    std::byte* data;

    // Where a chunk is, in bytes from `data`.
    UNMASK_DEVICE static std::uint32_t place(std::uint32_t row, std::uint32_t chunk) {
        constexpr std::uint32_t page_chunks = page / 8;
        constexpr std::uint32_t rows_a_line = 64 / page;
        const std::uint32_t line = row / rows_a_line;
        const std::uint32_t permuted = (row % rows_a_line * page_chunks + chunk % page_chunks) ^ (line % 8);
        return chunk / page_chunks * (Rows * page * 2) + line * 128 + permuted * 16;
    }
    // The chunk that lies `rows` (a multiple of 16) below and `chunks` (an even number) to the right. What that is more
    // than whole pages has no bit in common with where in its page the chunk is. With constants that is an exclusive or
    // and an offset, and no more addresses to keep in registers.
    UNMASK_DEVICE static std::uint32_t moved(std::uint32_t place, int rows, int chunks) {
        constexpr int page_chunks = page / 8;
        return (place ^ static_cast<std::uint32_t>(chunks % page_chunks * 16)) +
               static_cast<std::uint32_t>(chunks / page_chunks * (Rows * page * 2) + rows * page * 2);
    }

    UNMASK_DEVICE std::byte* chunk(int row, int chunk) const {
        return data + place(static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(chunk));
    }

    // Starts copying rows [begin, begin + Rows) of a matrix whose rows lie `stride` elements apart. Rows from `end` on
    // and columns from `columns` on become 0. By all `Threads` threads of a block.
    template <int Threads, class T>
    UNMASK_DEVICE void copy_rows(const T* matrix, int stride, int begin, int end, int columns) const {
        const index_t pass = static_cast<index_t>(stride) * rows_a_pass<Threads>;
        const T* from = nullptr;
        copy_passes<Threads>(end - begin, columns, [&](int row, int chunk, int down) {
            // Opaque: one address and what is added to it, not two sums for each chunk.
            from = down == 0 ? device::opaque(matrix + static_cast<index_t>(begin + row) * stride + chunk * 8)
                             : from + pass;
            return from;
        });
    }
    // The same, of two matrices to two tiles. What their addresses have in common is computed once.
    template <int Threads, class T>
    UNMASK_DEVICE static void copy_rows(const shared_tile (&to)[2], const T* const (&matrix)[2], const int (&stride)[2],
                                        int begin, int end, int columns) {
        const T* from[2];
        visit_passes<Threads>(end - begin, columns, [&](int row, int chunk, int down, const auto& for_each_page) {
            UNMASK_UNROLL
            for (int i = 0; i < 2; ++i) {
                from[i] = down == 0 ? matrix[i] + device::product(begin + row, stride[i]) + chunk * 8
                                    : from[i] + static_cast<index_t>(stride[i]) * rows_a_pass<Threads>;
                for_each_page([&](int right, std::uint32_t place, bool exists) {
                    device::copy_async(to[i].data + place, from[i] + right * 8, exists);
                });
            }
        });
    }
    // The same, of `rows` rows, each at row_of(number).
    template <int Threads, class RowOf>
    UNMASK_DEVICE void copy_rows(int rows, int columns, const RowOf& row_of) const {
        copy_passes<Threads>(rows, columns,
                             [&](int row, int chunk, int down) { return row_of(row + down) + chunk * 8; });
    }

private:
    template <int Threads>
    static constexpr int rows_a_pass = Threads / (page / 8);

    // In each pass, a thread copies the chunk from_of(row, chunk, down), which is of row + down, and those of the same
    // row in other pages.
    template <int Threads, class FromOf>
    UNMASK_DEVICE void copy_passes(int rows, int columns, const FromOf& from_of) const {
        visit_passes<Threads>(rows, columns, [&](int row, int chunk, int down, const auto& for_each_page) {
            const auto* from = from_of(row, chunk, down);
            for_each_page([&](int right, std::uint32_t place, bool exists) {
                device::copy_async(data + place, from + right * 8, exists);
            });
        });
    }

    // Calls visit(row, chunk, down, for_each_page) for each pass of a thread, where for_each_page(copy) calls
    // copy(right, place, exists) for each of its chunks: in row + down, `right` chunks from `chunk`, and where that is
    // in a tile.
    template <int Threads, class Visit>
    UNMASK_DEVICE static void visit_passes(int rows, int columns, const Visit& visit) {
        constexpr int page_chunks = page / 8;
        static_assert(rows_a_pass<Threads> % 16 == 0 && Rows % rows_a_pass<Threads> == 0);
        // Opaque: what follows from it costs less than the registers to keep it in. Unsigned, to divide by a shift.
        const auto thread = device::opaque(static_cast<std::uint32_t>(device::thread()));
        const int row = static_cast<int>(thread / page_chunks);
        const int chunk = static_cast<int>(thread % page_chunks);
        const std::uint32_t first_place = place(thread / page_chunks, thread % page_chunks);
        const int rows_left = rows - row;
        const int columns_left = columns - chunk * 8;
        UNMASK_UNROLL
        for (int down = 0; down < Rows; down += rows_a_pass<Threads>) {
            visit(row, chunk, down, [&](const auto& copy) {
                UNMASK_UNROLL
                for (int right = 0; right < chunks; right += page_chunks) {
                    copy(right, moved(first_place, down, right), down < rows_left && right * 8 < columns_left);
                }
            });
        }
    }
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
