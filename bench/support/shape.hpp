// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>

#include <unmask/config.hpp>

namespace bench {

using unmask::index_t;

/// The sizes of one attention call, and the threads that it may use.
struct shape {
    index_t length; ///< of the keys, and of the queries where nothing else is said
    index_t head_dim;
    int threads = 0; ///< 0: it runs on a GPU
    index_t queries = length;
    index_t heads = 8;
    index_t kv_heads = heads;
    index_t batch = 1;
    bool ragged = false; ///< each sequence is shorter than the one before
};

/// As the names of cases end: `length:4096/head_dim:64/threads:2`, with whatever else is not as usual in the middle.
inline std::string to_string(const shape& shape) {
    const auto part = [](const char* what, index_t value) { return std::string(what) + ":" + std::to_string(value); };
    std::string text = part("length", shape.length);
    text += shape.batch != 1 ? part("/batch", shape.batch) : "";
    text += shape.ragged ? "/ragged" : "";
    text += shape.queries != shape.length ? part("/queries", shape.queries) : "";
    text += shape.kv_heads != shape.heads ? part("/kv_heads", shape.kv_heads) : "";
    text += part("/head_dim", shape.head_dim);
    return text + (shape.threads != 0 ? part("/threads", shape.threads) : "");
}

} // namespace bench
