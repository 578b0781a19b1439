// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The layers' kernels.

#include <algorithm>

#include "../rules.hpp"
#include "cuda_layers.cuh"
#include "kernels.cuh"

namespace language_model {

namespace {

// Element by element.

__global__ void add_kernel(const float* from, float* to, index_t size) {
    if (const index_t i = thread_of_grid(); i < size) {
        to[i] += from[i];
    }
}

template <class T>
__global__ void round_kernel(const float* from, T* to, index_t size) {
    if (const index_t i = thread_of_grid(); i < size) {
        to[i] = T(from[i]);
    }
}

template <class T>
__global__ void gate_output_kernel(const T* input, const T* gate, T* output, index_t size) {
    if (const index_t i = thread_of_grid(); i < size) {
        output[i] = T(gated(input[i], gate[i]));
    }
}

template <class T>
__global__ void gate_output_backward_kernel(const T* input, const T* gate, T* d_input, T* d_gate, index_t size) {
    if (const index_t i = thread_of_grid(); i < size) {
        float of_input = d_input[i];
        float of_gate;
        gated_gradients(input[i], gate[i], of_input, of_gate);
        d_input[i] = T(of_input);
        d_gate[i] = T(of_gate);
    }
}

template <class T>
__global__ void swiglu_kernel(const T* gate_up, T* output, index_t columns, index_t size) {
    if (const index_t i = thread_of_grid(); i < size) {
        const T* const gate = gate_up + i / columns * 2 * columns + i % columns;
        output[i] = T(swiglu_of(gate[0], gate[columns]));
    }
}

template <class T>
__global__ void swiglu_backward_kernel(const T* gate_up, const T* d_output, T* d_gate_up, index_t columns,
                                       index_t size) {
    if (const index_t i = thread_of_grid(); i < size) {
        const index_t at = i / columns * 2 * columns + i % columns;
        float d_gate;
        float d_up;
        swiglu_gradients(gate_up[at], gate_up[at + columns], d_output[i], d_gate, d_up);
        d_gate_up[at] = T(d_gate);
        d_gate_up[at + columns] = T(d_up);
    }
}

// A thread for each pair of numbers.
template <class T>
__global__ void rotate_kernel(T* rows, index_t row_stride, index_t heads, index_t half, const float* angles,
                              const index_t* angles_of_row, index_t positions, float direction, index_t size) {
    if (const index_t i = thread_of_grid(); i < size) {
        const index_t row = i / (heads * half);
        const index_t head = i / half % heads;
        const float* const angle = angles + angles_of_row[row % positions] * 2 * half + i % half;
        T* const pair = rows + row * row_stride + head * 2 * half + i % half;
        float low = pair[0];
        float high = pair[half];
        turn(low, high, angle[0], direction * angle[half]);
        pair[0] = T(low);
        pair[half] = T(high);
    }
}

__global__ void repeat_kernel(const float* rows, index_t row_size, row_source<float> output, index_t size) {
    if (const index_t i = thread_of_grid(); i < size) {
        output.row(i / row_size)[i % row_size] = rows[i % (output.rows * row_size)];
    }
}

// A warp for each row.

__global__ void embed_kernel(const token_t* tokens, const float* table, index_t width, row_source<float> output,
                             index_t rows) {
    if (const index_t i = warp_of_grid(); i < rows) {
        const float* const from = table + tokens[i] * width;
        float* const to = output.row(i);
        for (index_t column = lane(); column < width; column += warp_size) {
            to[column] = from[column];
        }
    }
}

__device__ float inverse_rms(const float* x, index_t width) {
    float sum = 0.0F;
    for (index_t i = lane(); i < width; i += warp_size) {
        sum += x[i] * x[i];
    }
    return 1.0F / sqrtf(sum_of_warp(sum) / static_cast<float>(width) + 1e-6F);
}

template <class T>
__global__ void rms_norm_kernel(row_source<const float> input, const float* gain, T* output, index_t width,
                                index_t rows) {
    if (const index_t i = warp_of_grid(); i < rows) {
        const float* const x = input.row(i);
        const float scale = inverse_rms(x, width);
        for (index_t column = lane(); column < width; column += warp_size) {
            output[i * width + column] = T(x[column] * scale * gain[column]);
        }
    }
}

inline constexpr int rows_of_part = 32; // that one block adds up

// The gradient of the input, and the sum of the gain's over the block's rows.
template <class T>
__global__ void rms_norm_backward_kernel(row_source<const float> input, const float* gain, const T* d_output,
                                         row_source<float> d_input, float* d_gain_parts, index_t width, index_t rows) {
    __shared__ float scales[rows_of_part];
    const index_t first = static_cast<index_t>(blockIdx.x) * rows_of_part;
    const index_t count = rows - first < rows_of_part ? rows - first : rows_of_part;
    for (index_t r = threadIdx.x / warp_size; r < count; r += block_warps) {
        const float* const x = input.row(first + r);
        const T* const dy = d_output + (first + r) * width;
        float* const dx = d_input.row(first + r);
        const float scale = inverse_rms(x, width);
        float dot = 0.0F;
        for (index_t i = lane(); i < width; i += warp_size) {
            dot += dy[i] * gain[i] * x[i];
        }
        const float along = sum_of_warp(dot) * scale * scale / static_cast<float>(width);
        for (index_t i = lane(); i < width; i += warp_size) {
            dx[i] += scale * (dy[i] * gain[i] - x[i] * along);
        }
        if (lane() == 0) {
            scales[r] = scale;
        }
    }
    __syncthreads();
    for (index_t column = threadIdx.x; column < width; column += block_threads) {
        float sum = 0.0F;
        for (index_t r = 0; r < count; ++r) {
            sum += d_output[(first + r) * width + column] * input.row(first + r)[column] * scales[r];
        }
        d_gain_parts[blockIdx.x * width + column] = sum;
    }
}

inline constexpr int tokens_of_part = 256;

// A block for each row of the table and each part of the tokens: the sum of the gradients of the rows that have this
// token there.
__global__ void embed_backward_kernel(const token_t* tokens, row_source<const float> d_output, float* parts,
                                      index_t table_rows, index_t width, index_t part_size, index_t rows) {
    __shared__ token_t some[tokens_of_part];
    const index_t token = blockIdx.x % table_rows;
    const index_t part = blockIdx.x / table_rows;
    const index_t end = (part + 1) * part_size < rows ? (part + 1) * part_size : rows;
    float* const sums = parts + (part * table_rows + token) * width;
    for (index_t begin = 0; begin < width; begin += block_threads) {
        const index_t column = begin + threadIdx.x;
        float sum = 0.0F;
        for (index_t first = part * part_size; first < end; first += tokens_of_part) {
            const index_t count = end - first < tokens_of_part ? end - first : tokens_of_part;
            __syncthreads();
            for (index_t i = threadIdx.x; i < count; i += block_threads) {
                some[i] = tokens[first + i];
            }
            __syncthreads();
            for (index_t i = 0; column < width && i < count; ++i) {
                if (some[i] == token) {
                    sum += d_output.row(first + i)[column];
                }
            }
        }
        if (column < width) {
            sums[column] = sum;
        }
    }
}

// sums[i] += Σ parts[p][i], in one order: each warp adds every eighth part, and then the first adds the warps' sums.
__global__ void add_parts_kernel(const float* parts, index_t part_stride, index_t count, float* sums, index_t size) {
    __shared__ float of_warps[block_warps][warp_size];
    const index_t i = static_cast<index_t>(blockIdx.x) * warp_size + lane();
    const int warp = static_cast<int>(threadIdx.x) / warp_size;
    float sum = 0.0F;
    for (index_t part = warp; i < size && part < count; part += block_warps) {
        sum += parts[part * part_stride + i];
    }
    of_warps[warp][lane()] = sum;
    __syncthreads();
    if (warp == 0 && i < size) {
        for (int other = 1; other < block_warps; ++other) {
            sum += of_warps[other][lane()];
        }
        sums[i] += sum;
    }
}

void add_parts(const float* parts, index_t part_stride, index_t count, float* sums, index_t size, cudaStream_t stream) {
    enqueue(&add_parts_kernel, blocks_for(size, warp_size), stream, parts, part_stride, count, sums, size);
}

// A warp for each row that may be asked for.
template <class T>
__global__ void gather_kernel(const T* text, index_t length, index_t width, const unmask::row* rows, const int* count,
                              T* output, index_t most) {
    if (const index_t i = warp_of_grid(); i < most) {
        const bool asked = i < *count;
        const T* const from = asked ? text + (rows[i].sequence * length + rows[i].position) * width : nullptr;
        for (index_t column = lane(); column < width; column += warp_size) {
            output[i * width + column] = asked ? from[column] : T(0.0F);
        }
    }
}

template <class T>
row_source<const T> read_only(const row_source<T>& rows) {
    return {rows.data, rows.group_stride, rows.row_stride, rows.rows};
}

} // namespace

void cuda_layers::clear(const matrix& all) const {
    expect_success(cudaMemsetAsync(all.data, 0, static_cast<std::size_t>(all.size()) * sizeof(float), exec_.stream),
                   "cudaMemsetAsync");
}
void cuda_layers::copy(const matrix& from, const matrix& to) const {
    expect_success(cudaMemcpyAsync(to.data, from.data, static_cast<std::size_t>(from.size()) * sizeof(float),
                                   cudaMemcpyDeviceToDevice, exec_.stream),
                   "cudaMemcpyAsync");
}
void cuda_layers::add(const matrix& from, const matrix& to) const {
    enqueue(&add_kernel, blocks_for(to.size(), block_threads), exec_.stream, from.data, to.data, to.size());
}
template <class T>
void cuda_layers::round(const matrix& from, const matrix_of<T>& to) const {
    enqueue(&round_kernel<T>, blocks_for(to.size(), block_threads), exec_.stream, from.data, to.data, to.size());
}

void cuda_layers::repeat(const matrix& rows, const grouped_rows& output) const {
    enqueue(&repeat_kernel, blocks_for(output.size(), block_threads), exec_.stream, rows.data, rows.extents[1],
            rows_in(output), output.size());
}
void cuda_layers::repeat_backward(const grouped_rows& d_output, const matrix& d_rows) const {
    add_parts(d_output.data, d_output.strides[0], d_output.extents[0], d_rows.data, d_rows.size(), exec_.stream);
}

void cuda_layers::embed(std::span<const token_t> tokens, const matrix& table, const grouped_rows& output) const {
    enqueue(&embed_kernel, blocks_for(std::ssize(tokens), block_warps), exec_.stream, tokens.data(), table.data,
            table.extents[1], rows_in(output), std::ssize(tokens));
}
void cuda_layers::embed_backward(std::span<const token_t> tokens, const grouped_rows& d_output,
                                 const matrix& d_table) const {
    constexpr index_t most_parts = 64; // of memory as large as the table
    const index_t size = std::max<index_t>(tokens_of_part, blocks_for(std::ssize(tokens), most_parts));
    const index_t parts = blocks_for(std::ssize(tokens), size);
    const scratch_array<float> sums(exec_, parts * d_table.size());
    enqueue(&embed_backward_kernel, parts * d_table.extents[0], exec_.stream, tokens.data(),
            read_only(rows_in(d_output)), sums.data(), d_table.extents[0], d_table.extents[1], size,
            std::ssize(tokens));
    add_parts(sums.data(), d_table.size(), parts, d_table.data, d_table.size(), exec_.stream);
}

template <class T>
void cuda_layers::rms_norm(const grouped_rows& input, const matrix& gain, const matrix_of<T>& output) const {
    const index_t rows = output.extents[0];
    enqueue(&rms_norm_kernel<T>, blocks_for(rows, block_warps), exec_.stream, read_only(rows_in(input)), gain.data,
            output.data, gain.extents[1], rows);
}
template <class T>
void cuda_layers::rms_norm_backward(const grouped_rows& input, const matrix& gain, const matrix_of<T>& d_output,
                                    const grouped_rows& d_input, const matrix& d_gain) const {
    const index_t rows = d_output.extents[0];
    const index_t parts = blocks_for(rows, rows_of_part);
    const index_t width = gain.extents[1];
    const scratch_array<float> sums(exec_, parts * width);
    enqueue(&rms_norm_backward_kernel<T>, parts, exec_.stream, read_only(rows_in(input)), gain.data, d_output.data,
            rows_in(d_input), sums.data(), width, rows);
    add_parts(sums.data(), width, parts, d_gain.data, width, exec_.stream);
}

template <class T>
void cuda_layers::rotate(const matrix_of<T>& rows, index_t heads, const matrix& angles,
                         unmask::tensor_view<index_t, 1> angles_of_row, float direction) const {
    const index_t half = angles.extents[1] / 2;
    const index_t size = rows.extents[0] * heads * half;
    enqueue(&rotate_kernel<T>, blocks_for(size, block_threads), exec_.stream, rows.data, rows.strides[0], heads, half,
            angles.data, angles_of_row.data, angles_of_row.extents[0], direction, size);
}

template <class T>
void cuda_layers::gate_output(const matrix_of<T>& input, const matrix_of<T>& gate, const matrix_of<T>& output) const {
    enqueue(&gate_output_kernel<T>, blocks_for(output.size(), block_threads), exec_.stream, input.data, gate.data,
            output.data, output.size());
}
template <class T>
void cuda_layers::gate_output_backward(const matrix_of<T>& input, const matrix_of<T>& gate, const matrix_of<T>& d_input,
                                       const matrix_of<T>& d_gate) const {
    enqueue(&gate_output_backward_kernel<T>, blocks_for(input.size(), block_threads), exec_.stream, input.data,
            gate.data, d_input.data, d_gate.data, input.size());
}
template <class T>
void cuda_layers::swiglu(const matrix_of<T>& gate_up, const matrix_of<T>& output) const {
    enqueue(&swiglu_kernel<T>, blocks_for(output.size(), block_threads), exec_.stream, gate_up.data, output.data,
            output.extents[1], output.size());
}
template <class T>
void cuda_layers::swiglu_backward(const matrix_of<T>& gate_up, const matrix_of<T>& d_output,
                                  const matrix_of<T>& d_gate_up) const {
    enqueue(&swiglu_backward_kernel<T>, blocks_for(d_output.size(), block_threads), exec_.stream, gate_up.data,
            d_output.data, d_gate_up.data, d_output.extents[1], d_output.size());
}

template <class T>
void cuda_layers::gather(const matrix_of<T>& text, index_t length, const unmask::device_rows& rows,
                         const matrix_of<T>& output) const {
    enqueue(&gather_kernel<T>, blocks_for(rows.most, block_warps), exec_.stream, text.data, length, text.extents[1],
            rows.rows, rows.count, output.data, rows.most);
}

// For both types of activations.
template void cuda_layers::rms_norm(const grouped_rows&, const matrix&, const matrix_of<float>&) const;
template void cuda_layers::rms_norm_backward(const grouped_rows&, const matrix&, const matrix_of<float>&,
                                             const grouped_rows&, const matrix&) const;
template void cuda_layers::rotate(const matrix_of<float>&, index_t, const matrix&, unmask::tensor_view<index_t, 1>,
                                  float) const;
template void cuda_layers::gate_output(const matrix_of<float>&, const matrix_of<float>&, const matrix_of<float>&) const;
template void cuda_layers::gate_output_backward(const matrix_of<float>&, const matrix_of<float>&,
                                                const matrix_of<float>&, const matrix_of<float>&) const;
template void cuda_layers::swiglu(const matrix_of<float>&, const matrix_of<float>&) const;
template void cuda_layers::swiglu_backward(const matrix_of<float>&, const matrix_of<float>&,
                                           const matrix_of<float>&) const;
template void cuda_layers::gather(const matrix_of<float>&, index_t, const unmask::device_rows&,
                                  const matrix_of<float>&) const;

template void cuda_layers::round(const matrix&, const matrix_of<unmask::bfloat16>&) const;
template void cuda_layers::rms_norm(const grouped_rows&, const matrix&, const matrix_of<unmask::bfloat16>&) const;
template void cuda_layers::rms_norm_backward(const grouped_rows&, const matrix&, const matrix_of<unmask::bfloat16>&,
                                             const grouped_rows&, const matrix&) const;
template void cuda_layers::rotate(const matrix_of<unmask::bfloat16>&, index_t, const matrix&,
                                  unmask::tensor_view<index_t, 1>, float) const;
template void cuda_layers::gate_output(const matrix_of<unmask::bfloat16>&, const matrix_of<unmask::bfloat16>&,
                                       const matrix_of<unmask::bfloat16>&) const;
template void cuda_layers::gate_output_backward(const matrix_of<unmask::bfloat16>&, const matrix_of<unmask::bfloat16>&,
                                                const matrix_of<unmask::bfloat16>&,
                                                const matrix_of<unmask::bfloat16>&) const;
template void cuda_layers::swiglu(const matrix_of<unmask::bfloat16>&, const matrix_of<unmask::bfloat16>&) const;
template void cuda_layers::swiglu_backward(const matrix_of<unmask::bfloat16>&, const matrix_of<unmask::bfloat16>&,
                                           const matrix_of<unmask::bfloat16>&) const;
template void cuda_layers::gather(const matrix_of<unmask::bfloat16>&, index_t, const unmask::device_rows&,
                                  const matrix_of<unmask::bfloat16>&) const;

} // namespace language_model
