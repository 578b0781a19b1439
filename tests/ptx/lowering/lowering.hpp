// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../instructions/handlers.hpp"
#include "../kernel.hpp"
#include "liveness.hpp"

namespace ptx {

// From a function's statements to instructions: where variables lie (variables.cpp), places for registers and constants
// (operands.cpp), and what each statement becomes (statements.cpp).
class lowering {
public:
    lowering(const parsed_module& whole, const function& f, const symbol_table& globals);

    std::unique_ptr<lowered_kernel> run(bool contracts);

private:
    [[noreturn]] static void fail(const statement& s, const std::string& what);

    void lay_out_variables();
    void lay_out_shared();

    int add_register(const std::string& name, int bits);
    int register_of(const std::string& name); // −1: a name of something else
    int bits_of_register(const operand& o);   // 0: no register
    register_uses uses_of(const statement& s);
    void collect(const operand& o, std::vector<int>& to);
    void allocate();
    [[nodiscard]] register_place place(int r) const;
    register_place constant(std::uint64_t bits, bool wide);
    void lay_out_constants();
    register_place source(const statement& s, const operand& o, int bits);
    register_place target(const statement& s, const operand& o, int bits);
    register_place address(const statement& s, const operand& o, instruction& i);
    [[nodiscard]] std::uint64_t symbol(const statement& s, const std::string& name) const;

    instruction lower_statement(const statement& s, int number);
    void lower_branch_by_index(const statement& s, instruction& i);
    void lower_barrier(const statement& s, instruction& i);
    void lower_memory_access(const statement& s, const std::string& type, instruction& i);
    void lower_atomic(const statement& s, const std::string& type, instruction& i);
    void lower_async_copy(const statement& s, instruction& i);
    void lower_address_conversion(const statement& s, instruction& i);
    void lower_vector_move(const statement& s, const std::string& type, instruction& i);
    void lower_predicate_move(const statement& s, instruction& i);
    void lower_comparison(const statement& s, const std::string& type, instruction& i);
    void lower_selection(const statement& s, const std::string& type, instruction& i);
    void lower_within_warp(const statement& s, const std::string& type, instruction& i);
    void lower_matrix(const statement& s, instruction& i);
    void lower_call(const statement& s, instruction& i);
    void lower_function_of_registers(const wanted& what, instruction& i);
    bool lower_call_parameter(const statement& s, instruction& i);

    const parsed_module& module_;
    function f_;
    const symbol_table& globals_;
    std::unique_ptr<lowered_kernel> kernel_;
    symbol_table symbols_;
    std::vector<variable> call_variables_;
    std::set<std::string> call_names_;
    std::unordered_map<std::string, int> ids_; // of registers
    std::vector<int> bits_;
    std::vector<std::pair<int, special_register>> specials_;
    slots slots_;
    int words_ = 0;      // of 32 lanes, before the places of 64 bits
    int narrowing_ = -1; // a register for the lower half of a longer one
    std::map<std::pair<bool, std::uint64_t>, register_place> constants_;
    int constant_bytes_ = 0;
};

} // namespace ptx
