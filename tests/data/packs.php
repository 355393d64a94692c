<?php
// Wrote packs.json: `php packs.php PORT > packs.json`, PORT being that of any Redis: phpredis packs nothing unconnected.
// One mail under each OPT_SERIALIZER and OPT_COMPRESSION, as an array and as the text of serialize(), in three sizes.
ini_set("precision", "14");
$to = ["someone@example.com" => "Jörg \"J\" Müller"];
$mails = [
    "short" => ["to" => $to, "body" => "line 1\r\nline 2 – done\n", "subject" => "Grüße"],
    "long" => ["to" => $to, "body" => str_repeat("0123456789\n", 30), "subject" => "over 255 octets"],
    "huge" => ["to" => $to, "body" => str_repeat("0123456789\n", 6000), "subject" => "over 65,535 octets"],
];
$redis = new Redis();
$redis->connect("127.0.0.1", (int)$argv[1]);
$serializers = [
    "none" => fn($value) => $value,
    "php" => fn($value) => serialize($value),
    "json" => fn($value) => json_encode($value),
    "igbinary" => fn($value) => igbinary_serialize($value),
    "igbinary-spread" => fn($value) => spread($value),
    "msgpack" => fn($value) => msgpack_pack($value), // phpredis calls these, where it is built with them
];
function spread($value) {
    ini_set("igbinary.compact_strings", "0");
    $text = igbinary_serialize($value);
    ini_set("igbinary.compact_strings", "1");
    return $text;
}
foreach ($serializers as $serializer => $serialize) {
    foreach (["none", "lzf", "zstd", "lz4"] as $compression) {
        $redis->setOption(Redis::OPT_COMPRESSION, constant("Redis::COMPRESSION_" . strtoupper($compression)));
        foreach ($mails as $size => $mail) {
            foreach (["text" => serialize($mail), "array" => $mail] as $shape => $value) {
                if ($serializer === "none" && $shape === "array") continue; // phpredis pushes the word "Array" then
                $packed = $redis->_pack($serialize($value));
                $golden["$compression-of-$serializer-$shape-$size"] = ["mail" => $size, "bytes" => base64_encode(gzencode($packed))];
            }
        }
    }
}
echo json_encode($golden, JSON_PRETTY_PRINT), "\n";
