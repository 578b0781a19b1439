// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/tensor/tensor_view.hpp>

namespace examples {

using unmask::index_t;

/// Row-major matrices in somebody else's memory.
template <class T>
using matrix_of = unmask::tensor_view<T, 2>;
using matrix = matrix_of<float>;
using const_matrix = matrix_of<const float>;

/// Some rows of each of several sequences: [sequences, rows, columns].
using grouped_rows = unmask::tensor_view<float, 3>;
using const_grouped_rows = unmask::tensor_view<const float, 3>;

/// Rows [begin, begin + count) of a matrix.
template <class T>
matrix_of<T> rows_of(const matrix_of<T>& m, index_t begin, index_t count) {
    return {m.pointer(begin), {count, m.extents[1]}, m.strides};
}

/// Those of one sequence.
inline matrix rows_of(const grouped_rows& all, index_t sequence) {
    return {all.pointer(sequence), {all.extents[1], all.extents[2]}, {all.strides[1], 1}};
}
inline const_matrix rows_of(const const_grouped_rows& all, index_t sequence) {
    return {all.pointer(sequence), {all.extents[1], all.extents[2]}, {all.strides[1], 1}};
}

} // namespace examples
