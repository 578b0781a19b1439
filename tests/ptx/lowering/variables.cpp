// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lowering.hpp"

namespace ptx {
namespace {

// Puts a variable behind others.
std::uint64_t put_behind(std::uint64_t& end, std::uint64_t align, std::uint64_t bytes) {
    const std::uint64_t at = (end + align - 1) / align * align;
    end = at + bytes;
    return at;
}
std::uint64_t put_behind(std::uint64_t& end, const variable& v) {
    return put_behind(end, static_cast<std::uint64_t>(v.align), v.bytes);
}

} // namespace

// A kernel has the shared variables that it names, of its module too; what the launch adds comes last.
void lowering::lay_out_shared() {
    std::set<std::string> named;
    for (const statement& s : f_.statements) {
        for (const operand& o : s.operands) {
            named.insert(o.name);
        }
    }
    std::vector<variable> dynamic;
    std::uint64_t end = 0;
    for (const std::vector<variable>* list :
         {&module_.variables, static_cast<const std::vector<variable>*>(&f_.variables)}) {
        for (const variable& v : *list) {
            if (v.space == "shared" && named.count(v.name) > 0) {
                if (v.is_extern) {
                    dynamic.push_back(v);
                } else {
                    symbols_[v.name] = put_behind(end, v);
                }
            }
        }
    }
    for (const variable& v : dynamic) { // all at one place
        (void)put_behind(end, static_cast<std::uint64_t>(std::max(v.align, 16)), 0);
    }
    for (const variable& v : dynamic) {
        symbols_[v.name] = end;
    }
    kernel_->static_shared = end;
}

void lowering::lay_out_variables() {
    lay_out_shared();
    for (const variable& v : f_.variables) {
        if (v.space == "local") {
            symbols_[v.name] = put_behind(kernel_->local_bytes, v);
        } else if (v.space == "param") { // of a call
            call_variables_.push_back(v);
            call_names_.insert(v.name);
        }
    }
    (void)put_behind(kernel_->local_bytes, 16, 0);
    for (const variable& v : f_.parameters) {
        const std::uint64_t at = put_behind(kernel_->parameter_bytes, v);
        symbols_[v.name] = at;
        kernel_->parameter_offsets.push_back(at);
        kernel_->parameter_sizes.push_back(v.bytes);
    }
    symbols_.insert(globals_.begin(), globals_.end());
}

} // namespace ptx
