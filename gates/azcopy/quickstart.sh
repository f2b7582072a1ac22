# The development account's key is public, so this signature may be too: it only works with `causeway serve --dev`.
account=http://127.0.0.1:10000/devstoreaccount1
sas='sv=2021-12-02&ss=b&srt=sco&sp=rwdlac&se=2099-12-31T00%3A00%3A00Z&spr=https%2Chttp&sig=f12BHyGfFZCe8KRa2xZPJMW55GyBfv9kgctRQoXmtcA%3D'

curl --fail --request PUT --data '' "$account/quickstart?restype=container&$sas"
echo 'Hello from AzCopy' > hello.txt
azcopy copy hello.txt "$account/quickstart/hello.txt?$sas" --from-to LocalBlob
azcopy copy "$account/quickstart/hello.txt?$sas" back.txt --from-to BlobLocal
cat back.txt
