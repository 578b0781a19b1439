// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "contraction.hpp"
#include "lowering.hpp"

namespace ptx {

lowering::lowering(const parsed_module& whole, const function& f, const symbol_table& globals)
    : module_(whole), f_(f), globals_(globals), kernel_(std::make_unique<lowered_kernel>()) {}

std::unique_ptr<lowered_kernel> lowering::run(bool contracts) {
    kernel_->name = f_.name;
    kernel_->max_threads = f_.max_threads > 0 ? f_.max_threads : kernel_->max_threads;
    lay_out_variables();
    if (contracts) {
        kernel_->fused = contract(f_);
    }
    for (const auto& [name, bits] : f_.registers) {
        add_register(name, bits);
    }
    for (const variable& each : call_variables_) {
        add_register(each.name, each.bytes <= 4 ? 32 : 64);
    }
    allocate();
    int number = 0;
    for (const statement& s : f_.statements) {
        kernel_->code.push_back(lower_statement(s, number++));
    }
    instruction end; // of a body without ret
    end.flow = flow_kind::exit;
    end.number = std::max(number - 1, 0);
    kernel_->code.push_back(end);
    lay_out_constants();
    kernel_->source = std::move(f_);
    return std::move(kernel_);
}

std::unique_ptr<lowered_kernel> lower(const parsed_module& whole, const function& kernel, const symbol_table& globals,
                                      bool contract) {
    return lowering(whole, kernel, globals).run(contract);
}

} // namespace ptx
