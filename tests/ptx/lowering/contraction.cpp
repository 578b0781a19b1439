// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "contraction.hpp"

#include <array>
#include <unordered_map>

namespace ptx {
namespace {

// A mul, add or sub that the assembler may fuse.
bool may_fuse(const statement& s, const char* opcode) {
    if (s.opcode != opcode || !s.guard.empty() || !(s.has("f32") || s.has("f64"))) {
        return false;
    }
    for (const char* const rounding : {"rn", "rz", "rm", "rp", "sat"}) {
        if (s.has(rounding)) {
            return false;
        }
    }
    return true;
}

class contraction {
public:
    explicit contraction(function& f) : f_(f) {
        for (std::size_t n = 0; n < f.statements.size(); ++n) {
            const statement& s = f.statements[n];
            for (std::size_t k = 0; k < s.operands.size(); ++k) {
                for (const operand& o : s.operands[k].elements()) {
                    ++(k == 0 && has_result(s) ? definitions_ : uses_)[o.name];
                }
            }
            if (may_fuse(s, "mul")) {
                products_[s.operands[0].name] = s;
            }
        }
    }

    int run() {
        std::vector<int> moved;
        for (const statement& s : f_.statements) {
            moved.push_back(static_cast<int>(result_.size()));
            const bool subtracts = may_fuse(s, "sub");
            if (!(subtracts || may_fuse(s, "add")) || !(fuse(s, 1, subtracts) || fuse(s, 2, subtracts))) {
                result_.push_back(s);
            }
        }
        moved.push_back(static_cast<int>(result_.size()));
        f_.statements = std::move(result_);
        for (auto& [label, at] : f_.labels) {
            at = moved[static_cast<std::size_t>(at)];
        }
        return fused_;
    }

private:
    // A constant, or a register that has one value for ever.
    bool is_single(const operand& o) { return o.kind != operand_kind::reg || definitions_[o.name] <= 1; }

    // With the product of operand k, if there is one: a · b ± c, or c − a · b.
    bool fuse(const statement& s, std::size_t k, bool subtracts) {
        const operand& mine = s.operands[k];
        const auto found = mine.kind == operand_kind::reg ? products_.find(mine.name) : products_.end();
        if (found == products_.end() || definitions_[mine.name] != 1 || uses_[mine.name] != 1) {
            return false;
        }
        const statement& product = found->second;
        if (product.modifiers != s.modifiers || !is_single(product.operands[1]) || !is_single(product.operands[2])) {
            return false;
        }
        statement fma = s;
        fma.opcode = "fma";
        fma.text = "[fused] " + s.text;
        fma.operands = {s.operands[0], product.operands[1], product.operands[2], s.operands[3 - k]};
        if (subtracts) { // a sign changes nothing about rounding
            negate(fma, k == 2 ? 1 : 3);
        }
        result_.push_back(fma);
        ++fused_;
        return true;
    }

    // Puts the negative of an operand in a register of its own.
    void negate(statement& s, std::size_t k) {
        const std::string type = s.modifiers.back();
        operand to;
        to.kind = operand_kind::reg;
        to.name = "%negative" + std::to_string(fused_);
        f_.registers[to.name] = bits_of_type(type);
        statement negation = s;
        negation.opcode = "neg";
        negation.modifiers = {type};
        negation.operands = {to, s.operands[k]};
        result_.push_back(negation);
        s.operands[k] = to;
    }

    function& f_;
    std::unordered_map<std::string, int> definitions_, uses_;
    std::unordered_map<std::string, statement> products_; // by their register
    std::vector<statement> result_;
    int fused_ = 0;
};

} // namespace

int contract(function& f) {
    return contraction(f).run();
}

bool has_result(const statement& s) {
    static constexpr std::array<std::string_view, 16> without{
        "st",  "red",  "bra",      "brx",  "barrier", "bar", "membar",    "fence",
        "ret", "exit", "prefetch", "trap", "call",    "cp",  "nanosleep", "discard"};
    const bool reduces = s.opcode.starts_with("bar") && s.has("red"); // a barrier that tells something
    return reduces || std::find(without.begin(), without.end(), s.opcode) == without.end();
}

} // namespace ptx
