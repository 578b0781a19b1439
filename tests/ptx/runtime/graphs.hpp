// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include <cuda_runtime_api.h>

namespace ptx {

enum class node_kind { kernel, copy, fill, host, allocation, release, loop };

// What a loop of a graph depends on.
struct graph_condition {
    std::atomic<unsigned> value = 0;
    unsigned initial = 0;
    bool is_set_at_launch = false;
};

} // namespace ptx

struct CUgraphNode_st {
    ptx::node_kind kind;
    std::function<void()> run;
    std::shared_ptr<ptx::graph_condition> condition; // of a loop
    std::shared_ptr<CUgraph_st> body;
};

// Nodes in the order in which they are added and run.
struct CUgraph_st {
    std::vector<std::shared_ptr<CUgraphNode_st>> nodes;
    std::vector<std::shared_ptr<ptx::graph_condition>> conditions;
    std::vector<std::unique_ptr<cudaGraph_t>> handles_of_bodies; // which callers are told where to find
    bool is_body = false;

    cudaError_t add(ptx::node_kind kind, std::function<void()> run);
};
