// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <array>
#include <bit>
#include <string_view>

#include "../graph_condition.hpp"
#include "../warp.hpp"
#include "lowering.hpp"

namespace ptx {
namespace {

bool is_type(std::string_view modifier) {
    static constexpr std::array<std::string_view, 20> types{"u8",  "s8",  "b8",   "u16",  "s16",   "b16",   "u32",
                                                            "s32", "b32", "u64",  "s64",  "b64",   "b128",  "f16",
                                                            "f32", "f64", "bf16", "pred", "f16x2", "bf16x2"};
    return std::find(types.begin(), types.end(), modifier) != types.end();
}

memory_space space_of(const statement& s) {
    return s.has("global") || s.has("const")         ? memory_space::global
           : s.has("shared") || s.has("shared::cta") ? memory_space::shared
           : s.has("local")                          ? memory_space::local
           : s.has("param")                          ? memory_space::param
                                                     : memory_space::generic;
}

// The lower halves of 64 bits, for an instruction that reads 32.
void narrow_first(warp& w, const instruction& i) {
    alignas(64) std::uint32_t words[lanes];
    const std::uint64_t* const from = w.longs(i.s[1]);
    for (int l = 0; l < lanes; ++l) {
        words[l] = static_cast<std::uint32_t>(from[l]);
    }
    put(w, i.s[0], words, everyone);
    i.then(w, i);
}

template <std::uint32_t Bits>
void set_predicate(warp& w, const instruction& i) {
    put_predicate(w, i.d[0], Bits);
}

// Functions that device code may call.
void do_nothing(warp& /*w*/, const instruction& /*i*/) {}
void fail_assertion(warp& w, const instruction& i) {
    w.fail(fault_kind::illegal, i, std::countr_zero(w.mask), "an assertion");
}
void call_set_condition(warp& w, const instruction& i) {
    for_lanes(w.mask, [&](int l) { set_graph_condition(w.longs(i.s[0])[l], w.words(i.s[1])[l]); });
}

} // namespace

instruction lowering::lower_statement(const statement& s, int number) {
    instruction i;
    i.number = number;
    if (!s.guard.empty()) {
        i.guard = place(register_of(s.guard));
        i.guard_negated = s.guard_negated;
    }
    std::vector<std::string> types;
    std::copy_if(s.modifiers.begin(), s.modifiers.end(), std::back_inserter(types), is_type);
    const std::string type = types.empty() ? "" : types.back();
    const std::string& o = s.opcode;
    statement named = s; // by which the handler is found
    if (o == "bra") {
        i.flow = flow_kind::branch;
        i.target = f_.labels.at(s.operands[0].name);
        return i;
    }
    if (o == "brx") {
        lower_branch_by_index(s, i);
        return i;
    }
    if (o == "ret" || o == "exit") {
        i.flow = flow_kind::exit;
        return i;
    }
    if ((o == "bar" || o == "barrier") && !s.has("warp")) {
        lower_barrier(s, i);
        return i;
    }
    if (o == "call") {
        lower_call(s, i);
        return i;
    }
    if (o == "bar") {
        i.flow = flow_kind::warp_sync;
        i.s[3] = source(s, s.operands[0], 32);
        named.opcode = "bar.warp";
    } else if (o == "ld" || o == "ldu" || o == "st") {
        if (lower_call_parameter(s, i)) {
            named.opcode = "mov";
        } else {
            lower_memory_access(s, type, i);
        }
    } else if (o == "atom" || o == "red") {
        lower_atomic(s, type, i);
    } else if (o == "cp") {
        lower_async_copy(s, i);
    } else if (o == "cvta") {
        lower_address_conversion(s, i);
    } else if (o == "mov" && s.operands[1].kind == operand_kind::vector) {
        lower_vector_move(s, type, i);
        named.opcode = "mov.pack";
    } else if (o == "mov" && s.operands[0].kind == operand_kind::vector) {
        lower_vector_move(s, type, i);
        named.opcode = "mov.unpack";
    } else if (o == "mov" && type == "pred") {
        lower_predicate_move(s, i);
    } else if (o == "setp" || o == "set") {
        lower_comparison(s, type, i);
    } else if (o == "selp" || o == "slct") {
        lower_selection(s, types[0], i);
    } else if (o == "vote" || o == "shfl" || o == "match" || o == "redux") {
        lower_within_warp(s, type, i);
    } else if (o == "activemask") {
        i.d[0] = target(s, s.operands[0], 32);
    } else if (o == "ldmatrix" || o == "mma") {
        lower_matrix(s, i);
    } else if (!types.empty()) {
        lower_function_of_registers({s, types}, i);
    }
    if (i.run == nullptr) {
        i.run = find_handler({named, types}, i);
    }
    if (i.run == nullptr) {
        fail(s, "an instruction that the machine does not know");
    }
    return i;
}

void lowering::lower_branch_by_index(const statement& s, instruction& i) {
    i.flow = flow_kind::branch_index;
    i.s[0] = source(s, s.operands[0], 32);
    i.target = static_cast<int>(kernel_->jump_tables.size());
    auto& table = kernel_->jump_tables.emplace_back();
    for (const std::string& label : f_.branch_targets.at(s.operands[1].name)) {
        table.push_back(f_.labels.at(label));
    }
}

// bar.sync number; bar.red.and d, number, predicate.
void lowering::lower_barrier(const statement& s, instruction& i) {
    i.flow = flow_kind::barrier;
    const bool reduces = s.has("red");
    const std::size_t number = reduces ? 1 : 0;
    const std::size_t operands = reduces ? 3 : 1;
    if (!(s.has("sync") || reduces) || s.operands.size() != operands ||
        s.operands[number].kind != operand_kind::integer) {
        fail(s, "a barrier of a kind that the machine does not know");
    }
    i.offset = s.operands[number].value;
    if (reduces) {
        i.mode = s.has("popc") ? 1 : s.has("and") ? 2 : 3;
        i.d[0] = target(s, s.operands[0], i.mode == 1 ? 32 : 1);
        i.s[0] = source(s, s.operands[2], 1);
        i.negated = s.operands[2].negated;
    }
}

void lowering::lower_memory_access(const statement& s, const std::string& type, instruction& i) {
    const bool loads = s.opcode != "st";
    const auto parts = s.operands[loads ? 0 : 1].elements();
    i.space = space_of(s);
    i.bytes = static_cast<std::uint8_t>(bits_of_type(type) / 8);
    i.count = static_cast<std::uint8_t>(parts.size());
    i.is_signed = type[0] == 's';
    i.mode = 32;
    i.s[0] = address(s, s.operands[loads ? 1 : 0], i);
    if (parts.size() > 4) {
        fail(s, "more than four elements");
    }
    for (std::size_t p = 0; p < parts.size(); ++p) {
        const int bits = bits_of_register(parts[p]);
        if (!loads) {
            const int own = bits == 0 ? std::max(16, 8 * i.bytes) : bits; // of a constant
            i.s[1 + p] = source(s, parts[p], own);
            i.wide[p] = own == 64 ? 1 : 0;
        } else if (parts[p].name != "_") {
            i.d[p] = target(s, parts[p], bits);
            i.mode = static_cast<std::uint8_t>(bits);
        }
    }
}

// An argument or a result of a call, which is a register here.
bool lowering::lower_call_parameter(const statement& s, instruction& i) {
    const bool loads = s.opcode != "st";
    operand own = s.operands[loads ? 1 : 0];
    if (!s.has("param") || call_names_.count(own.name) == 0) {
        return false;
    }
    own.kind = operand_kind::reg;
    const operand other = s.operands[loads ? 0 : 1].elements()[0];
    const int bits = bits_of_register(own);
    i.d[0] = target(s, loads ? other : own, bits);
    i.s[0] = source(s, loads ? own : other, bits);
    return true;
}

void lowering::lower_atomic(const statement& s, const std::string& type, instruction& i) {
    const std::size_t first = s.opcode == "atom" ? 1 : 0; // red has no result
    const int bits = bits_of_type(type);
    i.space = space_of(s);
    i.d[0] = first == 1 ? target(s, s.operands[0], bits) : no_result;
    i.s[0] = address(s, s.operands[first], i);
    const auto parts = s.operands[first + 1].elements(); // several are added alike
    i.count = static_cast<std::uint8_t>(parts.size());
    for (std::size_t p = 0; p < parts.size(); ++p) {
        i.s[1 + p] = source(s, parts[p], bits);
    }
    if (parts.size() > 1) {
        return;
    }
    i.s[2] = s.operands.size() > first + 2 ? source(s, s.operands[first + 2], bits) : i.s[1];
}

// cp.async to, from, bytes{, bytes that are read}; cp.async.wait_group n
void lowering::lower_async_copy(const statement& s, instruction& i) {
    if (s.has("wait_group")) {
        i.offset = s.operands[0].value;
        return;
    }
    if (s.operands.size() < 3) {
        return;
    }
    instruction from;
    i.s[1] = address(s, s.operands[1], from);
    i.s[0] = address(s, s.operands[0], i);
    i.target = static_cast<std::int32_t>(from.offset);
    i.mode = static_cast<std::uint8_t>(s.operands[2].value);
    const operand& read = s.operands.size() > 3 ? s.operands[3] : s.operands[2];
    if (!from.wide_address || bits_of_register(read) == 1) {
        fail(s, "a copy of a kind that the machine does not know");
    }
    i.s[2] = source(s, read, 32);
}

void lowering::lower_address_conversion(const statement& s, instruction& i) {
    i.space = space_of(s);
    i.mode = s.has("to") ? 1 : 0;
    i.d[0] = target(s, s.operands[0], 64);
    const bool narrow = bits_of_register(s.operands[1]) == 32;
    i.wide[0] = narrow ? 0 : 1;
    i.s[0] = source(s, s.operands[1], narrow ? 32 : 64);
}

void lowering::lower_vector_move(const statement& s, const std::string& type, instruction& i) {
    const bool packs = s.operands[1].kind == operand_kind::vector;
    const int bits = bits_of_type(type);
    const auto parts = s.operands[packs ? 1 : 0].elements();
    const int part_bits = bits / static_cast<int>(parts.size());
    if (bits > 64 || part_bits < 8 || parts.size() > 4) {
        fail(s, "a vector that the machine does not know");
    }
    i.count = static_cast<std::uint8_t>(parts.size());
    i.bytes = static_cast<std::uint8_t>(part_bits / 8);
    i.wide[0] = bits == 64 ? 1 : 0;
    (packs ? i.d[0] : i.s[0]) = packs ? target(s, s.operands[0], bits) : source(s, s.operands[1], bits);
    for (std::size_t p = 0; p < parts.size(); ++p) {
        (packs ? i.s[p] : i.d[p]) = packs ? source(s, parts[p], part_bits) : target(s, parts[p], part_bits);
    }
}

void lowering::lower_predicate_move(const statement& s, instruction& i) {
    i.d[0] = target(s, s.operands[0], 1);
    if (s.operands[1].kind == operand_kind::integer) {
        i.run = s.operands[1].value != 0 ? set_predicate<everyone> : set_predicate<0>;
    } else {
        i.s[0] = source(s, s.operands[1], 1);
        i.negated = s.operands[1].negated;
    }
}

void lowering::lower_comparison(const statement& s, const std::string& type, instruction& i) {
    const bool word = s.opcode == "set";
    const int bits = bits_of_type(type);
    operand second = s.operands[0];
    second.name = second.second;
    i.d[0] = target(s, s.operands[0], word ? 32 : 1);
    i.d[1] = second.name.empty() ? no_result : target(s, second, 1);
    i.s[0] = source(s, s.operands[1], bits);
    i.s[1] = source(s, s.operands[2], bits);
    if (s.operands.size() > 3) {
        if (word) {
            fail(s, "set with a predicate");
        }
        i.mode = s.has("and") ? 1 : s.has("or") ? 2 : 3;
        i.s[2] = source(s, s.operands[3], 1);
        i.negated = s.operands[3].negated;
    }
}

void lowering::lower_selection(const statement& s, const std::string& type, instruction& i) {
    const int bits = bits_of_type(type);
    i.d[0] = target(s, s.operands[0], bits);
    i.s[0] = source(s, s.operands[1], bits);
    i.s[1] = source(s, s.operands[2], bits);
    i.s[2] = source(s, s.operands[3], s.opcode == "selp" ? 1 : 32);
    i.negated = s.operands[3].negated;
}

// s[3] are the lanes that take part.
void lowering::lower_within_warp(const statement& s, const std::string& type, instruction& i) {
    i.flow = flow_kind::warp_sync;
    if (!s.has("sync")) {
        fail(s, "without .sync");
    }
    if (s.opcode == "shfl") {
        operand found = s.operands[0];
        found.name = found.second;
        i.d[0] = target(s, s.operands[0], 32);
        i.d[1] = found.name.empty() ? no_result : target(s, found, 1);
        for (std::size_t k = 0; k < 4; ++k) {
            i.s[k] = source(s, s.operands[k + 1], 32);
        }
        return;
    }
    const bool votes = s.opcode == "vote";
    i.d[0] = target(s, s.operands[0], votes && !s.has("ballot") ? 1 : 32);
    i.s[0] = source(s, s.operands[1], votes ? 1 : bits_of_type(type));
    i.negated = s.operands[1].negated;
    i.s[3] = source(s, s.operands[2], 32);
}

void lowering::lower_matrix(const statement& s, instruction& i) {
    i.flow = flow_kind::all_lanes;
    const auto results = s.operands[0].elements();
    const auto targets = [&](std::size_t most) {
        if (results.size() > most) {
            fail(s, "more results than the machine knows");
        }
        for (std::size_t p = 0; p < results.size(); ++p) {
            i.d[p] = target(s, results[p], 32);
        }
    };
    if (s.opcode == "ldmatrix") {
        targets(4);
        i.space = space_of(s);
        i.s[0] = address(s, s.operands[1], i);
        return;
    }
    targets(4);
    std::size_t next = 0;
    constexpr std::array<std::size_t, 3> sizes{4, 2, 4}; // registers of a, b and c
    for (std::size_t k = 0; k < sizes.size(); ++k) {
        const auto parts = s.operands[k + 1].elements();
        if (parts.size() != sizes[k]) {
            fail(s, "fragments of a size that the machine does not know");
        }
        for (const operand& part : parts) {
            i.s[next++] = source(s, part, 32);
        }
    }
}

void lowering::lower_call(const statement& s, instruction& i) {
    if (s.callee == "cudaGraphSetConditional") {
        i.s[0] = place(register_of(s.arguments.at(0)));
        i.s[1] = place(register_of(s.arguments.at(1)));
        i.run = call_set_condition;
    } else if (s.callee == "vprintf") {
        i.run = do_nothing;
    } else if (s.callee == "__assertfail") {
        i.run = fail_assertion;
    } else {
        fail(s, "a call of a function that the machine does not know");
    }
}

// A result and its operands, all in registers or constant.
void lowering::lower_function_of_registers(const wanted& what, instruction& i) {
    const statement& s = what.s;
    const std::string& o = s.opcode;
    const int bits = what.bits();
    const bool counts = o == "popc" || o == "clz" || o == "bfind";
    int result = counts ? 32 : s.has("wide") ? 2 * bits : bits;
    if (o == "cvt") {
        result = bits_of_type(what.types[0]);
        if (result < 32) { // the register may be longer
            result = bits_of_register(s.operands[0]);
            i.bytes = static_cast<std::uint8_t>(result / 8);
        }
    }
    i.d[0] = target(s, s.operands[0], result);
    if (o == "cvt" && bits < 64 && bits_of_register(s.operands[1]) == 64) {
        i.s[0] = place(narrowing_);
        i.s[1] = source(s, s.operands[1], 64);
        i.then = find_handler(what, i);
        i.run = i.then != nullptr ? narrow_first : nullptr;
        return;
    }
    for (std::size_t k = 1; k < s.operands.size(); ++k) {
        const bool is_word = ((o == "shl" || o == "shr") && k == 2) || o == "shf" || o == "prmt" ||
                             (o == "bfe" && k >= 2) || (o == "bfi" && k >= 3);
        const int own = is_word ? 32 : s.has("wide") && k == 3 ? 2 * bits : std::max(bits, bits == 1 ? 1 : 16);
        if (s.operands[k].negated) {
            fail(s, "a negated operand");
        }
        if (!(o == "lop3" && k == 4)) { // the table
            i.s[k - 1] = source(s, s.operands[k], own);
        }
    }
}

} // namespace ptx
