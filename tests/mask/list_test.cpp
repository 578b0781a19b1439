// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
/// Every mask of the library with the parameters that the tests of attention, and the benchmarks, give it.
#include <tuple>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/mask/audit.hpp>
#include <unmask/mask/document.hpp>

#include "../support/mask_list.hpp"

using namespace unmask;

namespace {

void check(const char* name, const auto& mask, index_t length) {
    const mask_audit report = audit(mask, length, length);
    CAPTURE(name);
    CAPTURE(length);
    CAPTURE(report.text());
    CHECK(report.correct());
}

} // namespace

TEST_CASE("every listed mask agrees with visible, as tested and as measured") {
    int masks = 0;
    for (const index_t length : {61, 520}) {
        const std::vector<range> documents = document_ranges(std::vector<index_t>{1, 30, 2, length - 40, 7});
        const auto check_listed = [&](const auto& listed) {
            ++masks;
            check(listed.name, listed.tested, length);
            if (listed.measured_name != nullptr && length > 100) { // shadow and blocks of 32 take room
                check(listed.measured_name, listed.measured, length);
            }
        };
        std::apply([&](const auto&... listed) { (check_listed(listed), ...); },
                   std::tuple_cat(test::mask_list(length, documents), test::rowless_mask_list()));
    }
    CHECK(masks >= 2 * 17);
}
