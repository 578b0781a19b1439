// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A model and a selector of your own on the GPU, and the sampler there with them: the canvas, the logits and every
// decision stay on the device. Exits with 0 if the text is the one that the same model and selector write on the CPU.

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <cuda_runtime.h>

#include <unmask/unmask.cuh>

using unmask::index_t;
using unmask::token_t;

constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz .";
constexpr token_t size = static_cast<token_t>(letters.size());
constexpr unmask::vocabulary vocabulary{.size = size, .mask = size, .end = {}};

/// How well letters go together, learned from a text: the logarithm of how often one comes before another, and how
/// often.
struct neighbours {
    const float* after; // [size][size]
    const float* alone; // [size]

    UNMASK_HOST_DEVICE float logit(const token_t* text, index_t length, index_t position, token_t letter) const {
        float sum = alone[letter];
        if (position > 0 && text[position - 1] < size) {
            sum += after[text[position - 1] * size + letter] - alone[letter];
        }
        if (position + 1 < length && text[position + 1] < size) {
            sum += after[letter * size + text[position + 1]] - alone[text[position + 1]];
        }
        return sum;
    }
};

/// The model on the CPU.
struct host_model {
    neighbours know;

    unmask::vocabulary vocabulary() const { return ::vocabulary; }
    void denoise(const unmask::canvas& page, std::span<const unmask::row> rows, unmask::tensor_view<float, 2> logits) {
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto text = page.tokens(rows[i].sequence);
            for (token_t letter = 0; letter < size; ++letter) {
                logits(i, letter) = know.logit(text.data(), std::ssize(text), rows[i].position, letter);
            }
        }
    }
};

/// A block for each row that may be asked for, a thread for each letter.
__global__ void write_logits(neighbours know, unmask::device_canvas page, unmask::device_rows rows,
                             unmask::tensor_view<float, 2> logits) {
    if (blockIdx.x < *rows.count) {
        const unmask::row asked = rows.rows[blockIdx.x];
        const index_t begin = page.offsets[asked.sequence];
        const index_t length = page.offsets[asked.sequence + 1] - begin;
        const auto letter = static_cast<token_t>(threadIdx.x);
        logits(blockIdx.x, letter) = know.logit(page.tokens + begin, length, asked.position, letter);
    }
}

/// The model on the GPU: it enqueues its work, and waits for nothing.
struct device_model {
    static constexpr bool on_device = true;
    neighbours know;

    unmask::vocabulary vocabulary() const { return ::vocabulary; }
    void denoise(const unmask::cuda_executor& exec, const unmask::device_canvas& page, const unmask::device_rows& rows,
                 unmask::tensor_view<float, 2> logits) {
        write_logits<<<static_cast<unsigned>(rows.most), size, 0, exec.stream>>>(know, page, rows, logits);
    }
};

/// Commits what is sure enough, but no two neighbours in one call: they depend on each other most, and were predicted
/// without each other. Written once, for both processors.
struct no_neighbours {
    static constexpr auto kind = unmask::policy_kind::selector;
    double probability = 0.3;

    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const unmask::step_share& /*share*/) const {
        const double bound = unmask::exact::log_of_probability(probability);
        index_t next = 0; // the first position that is no neighbour of a chosen one
        all.walk([&](int i) {
            all[i].chosen = all[i].where.position >= next && all[i].raw_log_probability >= bound;
            next = all[i].chosen ? all[i].where.position + 2 : next;
            return true;
        });
    }
};

/// Learns from a text into memory that both see.
neighbours learn(std::string_view text, float* memory) {
    float* const alone = memory + size * size;
    for (token_t i = 0; i < size * size + size; ++i) {
        memory[i] = 0.1F;
    }
    for (std::size_t i = 0; i + 1 < text.size(); ++i) {
        const auto first = static_cast<token_t>(letters.find(text[i]));
        ++memory[first * size + static_cast<token_t>(letters.find(text[i + 1]))];
        ++alone[first];
    }
    for (token_t i = 0; i < size; ++i) {
        for (token_t j = 0; j < size; ++j) {
            memory[i * size + j] = std::log(memory[i * size + j] / alone[i]);
        }
    }
    for (token_t i = 0; i < size; ++i) {
        alone[i] = std::log(alone[i] / static_cast<float>(text.size()));
    }
    return {memory, alone};
}

int main() {
    int gpus = 0;
    if (cudaGetDeviceCount(&gpus) != cudaSuccess || gpus == 0) {
        std::printf("skipped: there is no GPU\n");
        return 0;
    }
    float* memory = nullptr;
    cudaStream_t stream = nullptr;
    if (cudaMallocManaged(&memory, (size * size + size) * sizeof(float)) != cudaSuccess ||
        cudaStreamCreate(&stream) != cudaSuccess) {
        return 1;
    }
    const neighbours know = learn("in the beginning god created the heaven and the earth. and the earth was without "
                                  "form and void and darkness was upon the face of the deep. and the spirit of god "
                                  "moved upon the face of the waters.",
                                  memory);

    unmask::canvas page(vocabulary);
    for (const std::string_view begin : {"and the ", "in ", ""}) {
        std::vector<token_t> prompt;
        for (const char letter : begin) {
            prompt.push_back(static_cast<token_t>(letters.find(letter)));
        }
        page.add(prompt, 40);
    }
    unmask::canvas expected = page;

    const unmask::sampler sampler{no_neighbours{}, unmask::categorical{.temperature = 0.7}};
    const auto result = sampler(unmask::cuda_executor{stream}, device_model{know}, page, 7);
    const auto of_cpu = sampler(unmask::cpu_executor{}, host_model{know}, expected, 7);

    bool same = result.calls == of_cpu.calls;
    for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
        std::string text;
        for (index_t i = 0; i < page.length(sequence); ++i) {
            const token_t token = page.token(sequence, i);
            text += letters[static_cast<std::size_t>(token)];
            same = same && token == expected.token(sequence, i);
        }
        std::printf("%s\n", text.c_str());
    }
    std::printf("%d calls of the model; %s\n", static_cast<int>(result.calls),
                same ? "the CPU writes the same" : "the CPU writes something else");
    cudaStreamDestroy(stream);
    cudaFree(memory);
    return same ? 0 : 1;
}
