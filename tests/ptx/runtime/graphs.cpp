// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "graphs.hpp"

#include <algorithm>

#include "../graph_condition.hpp"
#include "errors.hpp"
#include "streams.hpp"

// Of nodes, those that capture makes, and loops.
cudaError_t CUgraph_st::add(ptx::node_kind kind, std::function<void()> run) {
    const bool may_be_in_body = kind == ptx::node_kind::kernel || kind == ptx::node_kind::copy ||
                                kind == ptx::node_kind::fill || kind == ptx::node_kind::loop;
    if (is_body && !may_be_in_body) {
        return cudaErrorNotSupported;
    }
    nodes.push_back(std::make_shared<CUgraphNode_st>(CUgraphNode_st{kind, std::move(run), nullptr, nullptr}));
    return cudaSuccess;
}

// A graph as it was when it was instantiated.
struct CUgraphExec_st {
    std::shared_ptr<const CUgraph_st> graph;
};

namespace ptx {
namespace {

// A copy, with copies of bodies: the original may change or go.
std::shared_ptr<CUgraph_st> copy_of(const CUgraph_st& graph) {
    auto result = std::make_shared<CUgraph_st>();
    result->conditions = graph.conditions;
    result->is_body = graph.is_body;
    for (const auto& node : graph.nodes) {
        auto own = std::make_shared<CUgraphNode_st>(*node);
        own->body = node->body != nullptr ? copy_of(*node->body) : nullptr;
        result->nodes.push_back(std::move(own));
    }
    return result;
}

void run(const CUgraph_st& graph) {
    for (const auto& node : graph.nodes) {
        if (has_faulted()) {
            return;
        }
        if (node->kind != node_kind::loop) {
            node->run();
            continue;
        }
        while (node->condition->value != 0 && !has_faulted()) {
            run(*node->body);
        }
    }
}

} // namespace

void set_graph_condition(std::uint64_t handle, unsigned value) {
    reinterpret_cast<graph_condition*>(handle)->value = value;
}

} // namespace ptx

extern "C" {

cudaError_t cudaGraphCreate(cudaGraph_t* graph, unsigned /*flags*/) {
    *graph = new CUgraph_st;
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
    const std::size_t most = nodes != nullptr ? std::min(*count, graph->nodes.size()) : 0;
    for (std::size_t n = 0; n < most; ++n) {
        nodes[n] = graph->nodes[n].get();
    }
    *count = nodes != nullptr ? most : graph->nodes.size();
    return cudaSuccess;
}

cudaError_t cudaGraphConditionalHandleCreate(cudaGraphConditionalHandle* handle, cudaGraph_t graph, unsigned initial,
                                             unsigned flags) {
    if (ptx::current_settings().driver < 12040) {
        return ptx::failed(cudaErrorNotSupported);
    }
    auto condition = std::make_shared<ptx::graph_condition>();
    condition->initial = initial;
    condition->is_set_at_launch = (flags & cudaGraphCondAssignDefault) != 0;
    *handle = reinterpret_cast<cudaGraphConditionalHandle>(condition.get());
    graph->conditions.push_back(std::move(condition));
    return cudaSuccess;
}

// A loop of one body, after nodes of the graph.
cudaError_t cudaGraphAddNode(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t* after,
                             const cudaGraphEdgeData* /*edges*/, std::size_t dependencies,
                             cudaGraphNodeParams* parameters) {
    const cudaConditionalNodeParams& wanted = parameters->conditional;
    const auto is_own = [&](cudaGraphNode_t each) {
        return std::any_of(graph->nodes.begin(), graph->nodes.end(), [&](const auto& n) { return n.get() == each; });
    };
    const auto condition = std::find_if(graph->conditions.begin(), graph->conditions.end(), [&](const auto& each) {
        return reinterpret_cast<cudaGraphConditionalHandle>(each.get()) == wanted.handle;
    });
    const bool is_loop =
        parameters->type == cudaGraphNodeTypeConditional && wanted.type == cudaGraphCondTypeWhile && wanted.size == 1;
    const bool is_reserved_zero = std::all_of(std::begin(parameters->reserved0), std::end(parameters->reserved0),
                                              [](auto byte) { return byte == 0; });
    if (!is_loop || !is_reserved_zero || condition == graph->conditions.end() ||
        !std::all_of(after, after + dependencies, is_own)) {
        return ptx::failed(cudaErrorInvalidValue);
    }
    auto body = std::make_shared<CUgraph_st>();
    body->is_body = true;
    graph->handles_of_bodies.push_back(std::make_unique<cudaGraph_t>(body.get()));
    parameters->conditional.phGraph_out = graph->handles_of_bodies.back().get();
    graph->nodes.push_back(
        std::make_shared<CUgraphNode_st>(CUgraphNode_st{ptx::node_kind::loop, nullptr, *condition, std::move(body)}));
    *node = graph->nodes.back().get();
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long /*flags*/) {
    *executable = new CUgraphExec_st{ptx::copy_of(*graph)};
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    return ptx::add(stream, ptx::node_kind::host, [graph = executable->graph] {
        for (const auto& condition : graph->conditions) {
            if (condition->is_set_at_launch) {
                condition->value = condition->initial;
            }
        }
        ptx::run(*graph);
    });
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    delete executable; // launches that are under way keep the graph
    return cudaSuccess;
}

} // extern "C"
