# netctl_add_library(NAME folder sources... [LINK targets...]): one library a folder.
function(netctl_add_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC netctl_options ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK})
endfunction()

# netctl_add_plugin(NAME SOURCES ... LINK ...): one executable in the folder that serves as CNI_PATH.
function(netctl_add_plugin name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  string(REPLACE "-" "_" target ${name})
  add_executable(plugin_${target} ${ARG_SOURCES})
  set_target_properties(plugin_${target} PROPERTIES OUTPUT_NAME ${name})
  target_link_libraries(plugin_${target} PRIVATE ${ARG_LINK})
endfunction()

# A test runs once after it is built: what is tested is optimized, the test itself is not.
function(netctl_test_options name)
  target_link_libraries(${name} PRIVATE netctl_test_support GTest::gmock)
  target_compile_options(${name} PRIVATE -O0 -U_FORTIFY_SOURCE)
endfunction()

# netctl_add_test(NAME LABEL label TIMEOUT seconds SOURCES ... LINK ...): a GoogleTest executable, one ctest entry a
# case, so that a test that changes its namespace cannot disturb another.
function(netctl_add_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  netctl_test_options(${name})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  target_precompile_headers(${name} REUSE_FROM netctl_test_precompiled)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  gtest_discover_tests(${name} TEST_PREFIX "${ARG_LABEL}." DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT})
endfunction()
