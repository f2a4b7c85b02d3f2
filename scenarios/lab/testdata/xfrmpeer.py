# A host whose link is a pipe: packets come by standard input and go by standard output,
# each behind its length in two bytes. The first ones are commands of ip, up to an
# empty one. What arrives for UDP port 7777 goes back to where it came from.
import fcntl, os, select, socket, struct, subprocess, sys

def read():
    head = sys.stdin.buffer.read(2)
    return sys.stdin.buffer.read(struct.unpack(">H", head)[0]) if head else None

tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH", b"tun0", 0x1001))  # TUNSETIFF: IFF_TUN, IFF_NO_PI
subprocess.run(["ip", "link", "set", "tun0", "up", "mtu", "9000"], check=True)
commands = []
while command := read():
    commands.append(command.decode())
subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)

# The port on which UDP-encapsulated ESP arrives, for both families.
keep = []
for family in (socket.AF_INET, socket.AF_INET6):
    s = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind(("", 4500))
    s.setsockopt(socket.IPPROTO_UDP, 100, 2)  # UDP_ENCAP: UDP_ENCAP_ESPINUDP
    keep.append(s)

s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
s.bind(("::", 7777))
poll = select.poll()
poll.register(tun, select.POLLIN)
poll.register(s, select.POLLIN)

def settle(wait):
    while ready := poll.poll(wait):
        for fd, _ in ready:
            if fd == tun:
                packet = os.read(tun, 65535)
                sys.stdout.buffer.write(struct.pack(">H", len(packet)) + packet)
            else:
                data, control, _, peer = s.recvmsg(65535, 1000)
                s.sendmsg([data], control, 0, peer)

while packet := read():
    os.write(tun, packet)
    settle(0)
settle(300)
sys.stdout.buffer.flush()
for line in open("/proc/net/xfrm_stat"):
    if not line.rstrip().endswith("\t0"):
        sys.stderr.write(line)
