// `none`, also installed as `loopback`: the container's loopback interface and nothing else. Keeps no records.

#include "plugins/none/none.hpp"

int main(int argc, char** argv) { return netctl::cni::run_process(netctl::none::plugin(), argc, argv); }
