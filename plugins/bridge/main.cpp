// `bridge`: a veth pair between the container and a bridge of the host, addresses, routes, masquerade, published ports.

#include "plugins/bridge/bridge.hpp"

int main(int argc, char** argv) { return netctl::cni::run_process(netctl::bridge::plugin(), argc, argv); }
