// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Macros that platform headers and other libraries are known to define: the library must not use their names.
// The standard headers come first, because they are not all proof against them. Not here: min and max of windows.h,
// which its users turn off with NOMINMAX.

#include <bits/stdc++.h>

#define POISON unmask must not use this name

#define small POISON     // windows.h
#define interface POISON // windows.h
#define ERROR POISON     // windows.h
#define OPTIONAL POISON  // windows.h
#define I POISON         // complex.h
#define B0 POISON        // termios.h
#define major(x) POISON  // sys/sysmacros.h
#define minor(x) POISON  // sys/sysmacros.h
#define unix POISON      // g++ -std=gnu++20
#define linux POISON     // g++ -std=gnu++20
#define CHECK(x) POISON  // test frameworks
#define STR(x) POISON    // half the world
#define Success POISON   // X.h
#define None POISON      // X.h
#define True POISON      // X.h

#if defined(__CUDACC__)
#include <unmask/unmask.cuh>
#else
#include <unmask/unmask.hpp>
#endif
