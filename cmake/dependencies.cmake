# Debian packages only: libmnl-dev libnftnl-dev liblmdb-dev libxxhash-dev nlohmann-json3-dev libspdlog-dev libfmt-dev
# libcli11-dev libcurl4-openssl-dev
# libgtest-dev libgmock-dev. What has a static archive is linked statically (fewer objects to load).
find_package(PkgConfig REQUIRED)
find_package(nlohmann_json REQUIRED)
pkg_check_modules(LIBMNL REQUIRED libmnl)
pkg_check_modules(LIBNFTNL REQUIRED libnftnl)
find_library(LIBNFTNL_ARCHIVE NAMES libnftnl.a nftnl REQUIRED)
find_library(LMDB_ARCHIVE NAMES liblmdb.a lmdb REQUIRED)
find_package(GTest REQUIRED)
find_package(Threads REQUIRED)

add_library(third_mnl INTERFACE)
target_link_libraries(third_mnl INTERFACE ${LIBMNL_LINK_LIBRARIES})
add_library(third_nftnl INTERFACE)
target_link_libraries(third_nftnl INTERFACE ${LIBNFTNL_ARCHIVE} third_mnl)
add_library(third_lmdb INTERFACE)
target_link_libraries(third_lmdb INTERFACE ${LMDB_ARCHIVE} Threads::Threads)
add_library(third_json INTERFACE)
# All that it wants of libm (ldexp) is in libc too: named first, so that no third object has to be loaded at start.
target_link_libraries(third_json INTERFACE nlohmann_json::nlohmann_json -l:libc.so.6)
# spdlog with fmt inside, header-only: no shared library to load on the hot path.
add_library(third_spdlog INTERFACE)
target_compile_definitions(third_spdlog INTERFACE FMT_HEADER_ONLY SPDLOG_FMT_EXTERNAL)
