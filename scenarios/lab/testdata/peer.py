# A host whose link is a pipe: packets come by standard input and go by standard output,
# each behind its length in two bytes. The first ones are commands of ip, up to an
# empty one. What arrives for UDP port 7777 goes back to where it came from. The
# arguments are the kind of link, tun or tap, and a command to run in the end, whose
# output goes to standard error.
import fcntl, os, select, socket, struct, subprocess, sys

kind, last = sys.argv[1:]

def read():
    head = sys.stdin.buffer.read(2)
    return sys.stdin.buffer.read(struct.unpack(">H", head)[0]) if head else None

link = os.open("/dev/net/tun", os.O_RDWR)
flags = 0x1000 | {"tun": 1, "tap": 2}[kind]  # IFF_NO_PI, IFF_TUN or IFF_TAP
fcntl.ioctl(link, 0x400454CA, struct.pack("16sH", b"link0", flags))  # TUNSETIFF
subprocess.run(["ip", "link", "set", "link0", "up", "mtu", "9000"], check=True)
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
poll.register(link, select.POLLIN)
poll.register(s, select.POLLIN)

def settle(wait):
    while ready := poll.poll(wait):
        for fd, _ in ready:
            if fd == link:
                packet = os.read(link, 65535)
                sys.stdout.buffer.write(struct.pack(">H", len(packet)) + packet)
            else:
                data, control, _, peer = s.recvmsg(65535, 1000)
                s.sendmsg([data], control, 0, peer)

while packet := read():
    os.write(link, packet)
    settle(0)
settle(300)
sys.stdout.buffer.flush()
subprocess.run(last, shell=True, stdout=sys.stderr)
