# Counts words, and pairs of neighbours, of the text whose name is the argument.
open my $in, '<', $ARGV[0] or die "$ARGV[0]: $!";
my (%count, %after, $previous, $total);
while (<$in>) {
	tr/A-Z/a-z/;
	for my $word (/([a-z]+)/g) {
		$count{$word}++;
		$after{"$previous $word"}++ if defined $previous;
		$previous = $word;
	}
	s/(\d+)/$1 * 3/ge;
	$total += $1 while /(\d+)/g;
}
my @common = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
printf "%s %d\n", $_, $count{$_} for @common[0 .. 49];
my @pairs = sort { $after{$b} <=> $after{$a} || $a cmp $b } grep { $after{$_} > 3 } keys %after;
printf "%s %d\n", $_, $after{$_} for @pairs;
print "$total\n";
