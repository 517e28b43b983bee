#pragma once

namespace netctl::netlink {

/// Keeps `fd`'s file open in a message that nobody can ever receive: both ends of the pair are closed, and the receiving
/// one only lives on in its own queue. The kernel's collector of such cycles (net/unix/garbage.c) closes the files in a
/// worker of its own. Where that does not work, whoever closes `fd` waits, as ever. `fd` itself stays the caller's to close.
void close_in_background(int fd) noexcept;

}  // namespace netctl::netlink
