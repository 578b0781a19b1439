// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// The version (semantic versioning). CMake reads these three lines; the version is stated nowhere else.
#define UNMASK_VERSION_MAJOR 0
#define UNMASK_VERSION_MINOR 1
#define UNMASK_VERSION_PATCH 0

/// The version as one number that can be compared: 1'002'003 is version 1.2.3.
#define UNMASK_VERSION (UNMASK_VERSION_MAJOR * 1000000 + UNMASK_VERSION_MINOR * 1000 + UNMASK_VERSION_PATCH)
