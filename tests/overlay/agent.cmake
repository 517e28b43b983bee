# The agent and its sources against the real etcd. Those of label soak are the same with full counts.
add_executable(claim_race claim_race.cpp)
target_link_libraries(claim_race PRIVATE netctl_overlay_source)
set_target_properties(claim_race PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)

# netctl_add_agent_test(NAME LABEL label TIMEOUT seconds COMMAND script arguments...)
function(netctl_add_agent_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "COMMAND" ${ARGN})
  add_test(NAME ${name} COMMAND ${Python3_EXECUTABLE} -B ${ARG_COMMAND} WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT
    "NETCTL_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};NETCTL_TESTS_DIR=${CMAKE_BINARY_DIR}/tests")
endfunction()

foreach(name agent_cluster agent_containers agent_damage agent_directory etcd_lies etcd_race etcd_secured)
  netctl_add_agent_test(overlay.${name} LABEL overlay TIMEOUT 240 COMMAND ${name}.py)
endforeach()
netctl_add_agent_test(overlay.agent_churn LABEL overlay TIMEOUT 240 COMMAND agent_churn.py 600)
netctl_add_agent_test(soak.agent_churn LABEL soak TIMEOUT 1800 COMMAND agent_churn.py 10000)
