// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>

#include <unmask/config.hpp>

namespace bench {

using unmask::index_t;

/// The sizes of one attention call on a batch of 1, and the threads that it may use.
struct shape {
    index_t length; ///< of the keys, and of the queries where nothing else is said
    index_t head_dim;
    int threads;
    index_t queries = length;
    index_t heads = 8;
    index_t kv_heads = heads;
};

/// As the names of cases end: `length:4096/head_dim:64/threads:2`, with queries and kv_heads where they differ.
inline std::string to_string(const shape& shape) {
    const auto part = [](const char* what, index_t value) { return std::string(what) + ":" + std::to_string(value); };
    std::string text = part("length", shape.length);
    text += shape.queries != shape.length ? part("/queries", shape.queries) : "";
    text += shape.kv_heads != shape.heads ? part("/kv_heads", shape.kv_heads) : "";
    return text + part("/head_dim", shape.head_dim) + part("/threads", shape.threads);
}

} // namespace bench
