// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// PTX text as functions, variables and statements. Nothing here knows what instructions mean.
namespace ptx {

enum class operand_kind { reg, integer, real, symbol, address, vector };

struct operand {
    operand_kind kind = operand_kind::integer;
    std::string name;       // a register, symbol or label; an address' base, or empty
    std::string second;     // q of p|q
    std::int64_t value = 0; // of an integer; an address' offset; a real's bits
    int real_bits = 0;      // 32 or 64
    bool negated = false;   // !p
    std::vector<operand> parts;

    // A vector's, else the operand itself.
    [[nodiscard]] std::vector<operand> elements() const {
        return kind == operand_kind::vector ? parts : std::vector<operand>{*this};
    }
};

struct statement {
    std::string opcode;                 // up to the first dot
    std::vector<std::string> modifiers; // between dots
    std::string text;                   // for messages
    std::string guard;                  // a predicate's register, or empty
    bool guard_negated = false;
    std::vector<operand> operands;
    std::string callee; // of a call
    std::vector<std::string> results, arguments;
    int line = 0;       // of the PTX
    std::string source; // file:line, where nvcc was told -lineinfo

    [[nodiscard]] bool has(std::string_view modifier) const {
        return std::find(modifiers.begin(), modifiers.end(), modifier) != modifiers.end();
    }
};

struct variable {
    std::string name;
    std::string space; // global, const, shared, local or param
    int align = 1;
    std::uint64_t bytes = 0;
    bool is_extern = false; // shared memory whose size the launch says
    std::vector<std::uint8_t> contents;
    std::vector<std::pair<std::uint64_t, std::string>> addresses; // of symbols, among the contents
};

struct function {
    std::string name;
    bool has_body = false;
    std::vector<variable> parameters;
    int max_threads = 0;                  // 0: not said
    std::map<std::string, int> registers; // by unique name; bits, 1 for a predicate
    std::vector<variable> variables;
    std::vector<statement> statements;
    std::map<std::string, int> labels; // the number of the next statement
    std::map<std::string, std::vector<std::string>> branch_targets;
};

struct parsed_module {
    int target = 0; // 80 of sm_80
    std::vector<function> functions;
    std::vector<variable> variables;
};

// Throws std::runtime_error where the text is not understood.
parsed_module parse(std::string_view text);

// 32 of b32; 1 of pred.
int bits_of_type(std::string_view type);

} // namespace ptx
