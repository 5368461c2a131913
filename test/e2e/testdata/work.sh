# What a person does in a mounted tree, once each: run in the mount of small:1.
# work.changes beside this file says, by hand, what `changes` must answer.
set -eu

# create
echo new > etc/new
mkdir -p srv/sub
echo "in a new directory" > srv/sub/file
ln -s ../sub/file srv/link
mkfifo srv/fifo

# edit: append, in the middle, truncate
echo "added:*:1::::::" >> etc/shadow
printf XYZ | dd of=bin/busybox bs=1 seek=1000 conv=notrunc status=none
truncate -s 3 usr/share/doc/readme

# delete a file and a directory, replace one by the other
rm etc/empty
rm -r etc/passwd
rm etc/motd.new
echo "back" > etc/motd.new
rm -r odd/closed
echo "a file now" > odd/closed
rm lib/deep
mkdir lib/deep

# delete a directory and make it again: nothing of the old one may shine through
rm -r etc/conf.d
mkdir etc/conf.d
echo 4 > etc/conf.d/four

# rename a file, a directory of the lower layers, and work in it
mv lib/same2 lib/same3
mv var var2
echo mail > var2/mail/m

# owners, modes, times, attributes
chown 1234:5678 home/user/again
chown -h 12:34 bin/ash
chown 4000000:5 root
chmod 4711 bin/wall
chmod 0 etc/new
touch -d @1234567890.123456789 twice
touch -h -d @987654321.000000001 odd/dangling
setfattr -n user.test -v value lib/big
setfattr -x user.one odd/xattrs
setfattr -x user.empty odd/xattrs # umoci, for one, cannot read it in a tar
setfattr -n user.dir -v d2 tmp

# a hard link between two directories
ln etc/shadow srv/shadow

# made and deleted again: leaves no trace but the time of its directory
echo x > links/short
rm links/short
