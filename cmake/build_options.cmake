option(NETCTL_WERROR "Treat warnings as errors" OFF)
option(NETCTL_SANITIZE "Build with address and undefined behaviour sanitizers" OFF)
option(NETCTL_ASSERTIONS "Check preconditions inside the standard library" OFF)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# One folder that can serve as CNI_PATH.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_program(CCACHE ccache)
if(CCACHE)
  # What it has to be told of the tests' precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

# Smaller code starts faster: a plugin pays for every page that it touches.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
# Lines and functions are all that a backtrace wants; the rest of the debugger's tables is a third of the build's time.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")
set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG")

add_library(netctl_options INTERFACE)
target_include_directories(netctl_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(netctl_options INTERFACE _FILE_OFFSET_BITS=64 NETCTL_VERSION="${PROJECT_VERSION}")
target_compile_options(netctl_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
    -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align -Wformat=2 -Wextra-semi
    -Wnull-dereference>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wduplicated-cond -Wlogical-op -Wsuggest-override>
  -ffunction-sections -fdata-sections -fstack-protector-strong)
if(NETCTL_WERROR)
  target_compile_options(netctl_options INTERFACE -Werror)
endif()
if(NETCTL_ASSERTIONS)
  target_compile_definitions(netctl_options INTERFACE _GLIBCXX_ASSERTIONS)
endif()
if(NETCTL_SANITIZE)
  target_compile_definitions(netctl_options INTERFACE NETCTL_SANITIZED)
  target_compile_options(netctl_options INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(netctl_options INTERFACE -fsanitize=address,undefined)
else()
  target_compile_definitions(netctl_options INTERFACE $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
  # A plugin is a process of a millisecond: what the loader has to map and relocate is a visible part of that.
  target_link_options(netctl_options INTERFACE
    -static-libstdc++ -static-libgcc -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now -Wl,--as-needed)
endif()
