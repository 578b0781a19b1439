// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/mask/ranges.hpp>
#include <unmask/tensor/tensor_view.hpp>

// Rows that are packed next are prefetched a few cache lines at a time, between the blocks of a product. The number of
// cache misses in flight is limited, so prefetching all at once would stall.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Rows of one head, far apart in memory.
struct row_stream {
    const char* row = nullptr;
    index_t stride = 0; // in bytes
    index_t size = 0;
    index_t rows = 0;

    row_stream() = default;
    template <class T>
    row_stream(const tensor_view<const T, 4>& tensor, index_t sequence, index_t head, range positions)
        : row(reinterpret_cast<const char*>(tensor.pointer(sequence, positions.begin, head))),
          stride(tensor.strides[1] * static_cast<index_t>(sizeof(T))),
          size(tensor.extents[3] * static_cast<index_t>(sizeof(T))), rows(positions.end - positions.begin) {}

    void prefetch_row() {
        if (rows > 0) {
            for (index_t byte = 0; byte < size; byte += 64) {
                __builtin_prefetch(row + byte, 0, 2);
            }
            row += stride;
            --rows;
        }
    }
};

struct prefetch_queue {
    row_stream streams[3]{};

    void operator()() {
        for (row_stream& each : streams) {
            each.prefetch_row();
        }
    }
};

} // namespace detail
UNMASK_NAMESPACE_END
