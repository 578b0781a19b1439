// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <bit>
#include <stdexcept>

#include "../special_registers.hpp"
#include "contraction.hpp"
#include "lowering.hpp"

namespace ptx {

void lowering::fail(const statement& s, const std::string& what) {
    throw std::runtime_error("PTX line " + std::to_string(s.line) + ": " + what + ": " + s.text);
}

// ---- Registers.

int lowering::add_register(const std::string& name, int bits) {
    const auto [at, is_new] = ids_.emplace(name, static_cast<int>(bits_.size()));
    if (is_new) {
        bits_.push_back(bits);
    }
    return at->second;
}

int lowering::register_of(const std::string& name) {
    if (const auto found = ids_.find(name); found != ids_.end()) {
        return found->second;
    }
    if (name[0] != '%') {
        return -1;
    }
    const special_register which = special_register_of(name);
    const int id = add_register(name, 32);
    specials_.emplace_back(id, which);
    return id;
}

int lowering::bits_of_register(const operand& o) {
    const int id = o.kind == operand_kind::reg ? register_of(o.name) : -1;
    return id >= 0 ? bits_[static_cast<std::size_t>(id)] : 0;
}

void lowering::collect(const operand& o, std::vector<int>& to) {
    for (const operand& each : o.elements()) {
        for (const std::string& name : {each.name, each.second}) {
            const bool may_be = each.kind == operand_kind::reg || each.kind == operand_kind::address;
            if (may_be && !name.empty() && name != "_") {
                if (const int id = register_of(name); id >= 0) {
                    to.push_back(id);
                }
            }
        }
    }
}

register_uses lowering::uses_of(const statement& s) {
    register_uses result;
    const bool first_is_result = has_result(s) || (s.opcode == "st" && s.has("param"));
    for (std::size_t i = 0; i < s.operands.size(); ++i) {
        collect(s.operands[i], first_is_result && i == 0 ? result.defined : result.used);
    }
    for (const std::string& name : s.arguments) {
        result.used.push_back(register_of(name));
    }
    for (const std::string& name : s.results) {
        result.defined.push_back(register_of(name));
    }
    if (!s.guard.empty()) { // what is not written keeps its value
        result.used.push_back(register_of(s.guard));
        result.used.insert(result.used.end(), result.defined.begin(), result.defined.end());
    }
    return result;
}

namespace {

enum register_class { predicate, word, two_words, class_count };

register_class class_of(int bits) {
    return bits == 1 ? predicate : bits <= 32 ? word : two_words;
}

} // namespace

void lowering::allocate() {
    const auto end = static_cast<int>(f_.statements.size());
    std::vector<register_uses> uses;
    std::transform(f_.statements.begin(), f_.statements.end(), std::back_inserter(uses),
                   [this](const statement& s) { return uses_of(s); });
    narrowing_ = add_register("%narrowed", 32);
    std::vector<live_range> ranges = live_ranges(f_, uses, bits_.size());
    for (const auto& [id, which] : specials_) { // written before the first statement
        ranges[static_cast<std::size_t>(id)] = {0, end};
    }
    ranges[static_cast<std::size_t>(narrowing_)] = {0, end};
    std::vector<int> classes;
    std::transform(bits_.begin(), bits_.end(), std::back_inserter(classes), class_of);
    slots_ = share_slots(ranges, classes, class_count);
    words_ = slots_.count[word];
    kernel_->predicates = slots_.count[predicate];
    kernel_->register_bytes = (words_ + 2 * slots_.count[two_words]) * slot_bytes;
    for (const auto& [id, which] : specials_) {
        kernel_->specials.emplace_back(place(id), which);
    }
}

register_place lowering::place(int r) const {
    const int slot = slots_.of_register[static_cast<std::size_t>(r)];
    switch (class_of(bits_[static_cast<std::size_t>(r)])) {
    case predicate:
        return slot;
    case word:
        return slot * slot_bytes;
    default:
        return (words_ + 2 * slot) * slot_bytes;
    }
}

// ---- Constants.

register_place lowering::constant(std::uint64_t bits, bool wide) {
    const auto [at, is_new] = constants_.emplace(std::make_pair(wide, bits), 0);
    if (is_new) {
        constant_bytes_ += (wide ? 2 : 1) * slot_bytes;
        at->second = -constant_bytes_;
    }
    return at->second;
}

void lowering::lay_out_constants() {
    kernel_->constants.resize(static_cast<std::size_t>(constant_bytes_));
    for (const auto& [key, at] : constants_) {
        const auto& [wide, bits] = key;
        const int size = wide ? 8 : 4;
        for (int n = 0; n < size * lanes; ++n) {
            kernel_->constants[static_cast<std::size_t>(constant_bytes_ + at + n)] =
                static_cast<std::uint8_t>(bits >> (8 * (n % size)));
        }
    }
}

// ---- Operands.

std::uint64_t lowering::symbol(const statement& s, const std::string& name) const {
    const auto found = symbols_.find(name);
    if (found == symbols_.end()) {
        fail(s, "unknown symbol " + name);
    }
    return found->second;
}

// With so many bits a lane; 16 and 32 are kept alike.
register_place lowering::source(const statement& s, const operand& o, int bits) {
    switch (o.kind) {
    case operand_kind::reg: {
        const int id = register_of(o.name);
        const int own = bits_[static_cast<std::size_t>(id)];
        if (class_of(own) != class_of(bits)) {
            fail(s, "register " + o.name + " has " + std::to_string(own) + " bits, not " + std::to_string(bits));
        }
        return place(id);
    }
    case operand_kind::integer: {
        if (bits == 1) {
            fail(s, "a predicate that is constant");
        }
        const std::uint64_t ones = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
        return constant(static_cast<std::uint64_t>(o.value) & ones, bits == 64);
    }
    case operand_kind::real:
        if (o.real_bits != bits) {
            fail(s, "a constant of another size");
        }
        return constant(static_cast<std::uint64_t>(o.value), bits == 64);
    case operand_kind::symbol:
        return constant(symbol(s, o.name) + static_cast<std::uint64_t>(o.value), bits == 64);
    default:
        fail(s, "an operand of a kind that is not known");
    }
}

register_place lowering::target(const statement& s, const operand& o, int bits) {
    if (o.name == "_") {
        return no_result;
    }
    if (o.kind != operand_kind::reg) {
        fail(s, "a result that is no register");
    }
    return source(s, o, bits);
}

// The base of an address; the offset and the kind of base are set.
register_place lowering::address(const statement& s, const operand& o, instruction& i) {
    if (o.kind != operand_kind::address) {
        fail(s, "expected an address");
    }
    i.offset = o.value;
    const int id = o.name.empty() ? -1 : register_of(o.name);
    i.wide_address = id < 0 || bits_[static_cast<std::size_t>(id)] == 64;
    return id >= 0 ? place(id) : constant(o.name.empty() ? 0 : symbol(s, o.name), true);
}

} // namespace ptx
