/** IPv4 arithmetic, as much as a test needs to know where an address belongs. */

function number(address: string): number {
  return address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** Whether `address` is in `cidr`. */
export function within(address: string, cidr: string): boolean {
  const [first, prefix] = cidr.split("/");
  const size = 2 ** (32 - Number(prefix));
  return Math.floor(number(address) / size) === Math.floor(number(first) / size);
}

/** The address so many after the first one of `cidr`. */
export function nth(cidr: string, offset: number): string {
  const sum = number(cidr.split("/")[0]) + offset;
  return [24, 16, 8, 0].map((shift) => Math.floor(sum / 2 ** shift) % 256).join(".");
}
