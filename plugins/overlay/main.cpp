// `overlay`: containers on many hosts as if on one network.

#include "plugins/overlay/overlay.hpp"

int main(int argc, char** argv) { return netctl::cni::run_process(netctl::overlay::plugin(), argc, argv); }
