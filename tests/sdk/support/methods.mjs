// Every method of the SDK that sends a request, with arguments that a page would give it.

import { merchants } from './environment.mjs';
import { CLIENT_ID, MERCHANT_ID, PASSWORD } from './origin.mjs';

const MERCHANT_UUID = merchants.find(({ id }) => id === MERCHANT_ID)?.uuid;

const ITEM_ID = 5101;
const FEE_ID = 7013;
const PACKAGE_ID = 5001;
const MEDIA_ID = 'aB3dE5fG';
/** JW's access bridge calls an app a site. */
const SITE_ID = 'fernhollow-main';
const NEW_PASSWORD = 'battery staple';
const RETURN_URL = 'https://player.example/back';

const card = { number: '4111111111111111', cardName: 'A Viewer', expMonth: '12', expYear: '2030', cvv: '123' };
const bank = { accessFeeId: FEE_ID, bank: 'abn_amro', returnUrl: RETURN_URL, referrer: RETURN_URL, brandingId: 1 };
const debit = { assetId: ITEM_ID, accessFeeId: FEE_ID, voucherCode: '', brandingId: 1, referrer: RETURN_URL };
const wallet = { accessFeeId: FEE_ID, referrer: RETURN_URL, brandingId: 1 };

const registration = ({ email }) => ({
  fullName: 'A Viewer',
  email: `new-${email}`,
  password: PASSWORD,
  passwordConfirmation: PASSWORD,
  type: 'consumer',
  clientId: CLIENT_ID,
  referrer: RETURN_URL,
  metadata: { first_name: 'A', surname: 'Viewer' },
});
const credentials = ({ email }) => ({ email, password: PASSWORD, clientId: CLIENT_ID, referrer: RETURN_URL });
const favourite = (page) => page.sdk.Account.addToFavorites(MEDIA_ID);
const watched = (page) => page.sdk.Account.updateWatchHistory(MEDIA_ID, 0.5);

/** Who is signed in on the page: nobody, a viewer of the tests, one who holds a licence. */
export const NOBODY = 'nobody';
export const VIEWER = 'viewer';
export const SUBSCRIBER = 'subscriber';

/**
 * How a page calls each method: `args` of the viewer, `as` whom (a new viewer unless said), `before` what
 * happened on the page. `isFile`: the page gets the answer as a file.
 */
export const METHODS = {
  'Account.signIn': { as: NOBODY, args: (viewer) => [credentials(viewer)] },
  'Account.signInV2': { as: NOBODY, args: (viewer) => [credentials(viewer)] },
  'Account.signUp': { as: NOBODY, args: (viewer) => [registration(viewer)] },
  'Account.signUpV2': { as: NOBODY, args: (viewer) => [registration(viewer)] },
  'Account.signOut': { args: () => [] },
  'Account.refreshToken': { args: () => [CLIENT_ID] },
  'Account.reportSSOtoken': { args: () => ['https://sso.example', 'token', false] },
  'Account.requestNewPassword': {
    as: NOBODY,
    args: ({ email }) => [{ email, merchantUuid: MERCHANT_UUID, brandingId: 1 }],
  },
  'Account.setNewPassword': {
    as: NOBODY,
    args: ({ passwordToken }) => [
      { password: NEW_PASSWORD, passwordConfirmation: NEW_PASSWORD, brandingId: 1 },
      passwordToken(),
    ],
    before: (page, { email }) =>
      page.sdk.Account.requestNewPassword({ email, merchantUuid: MERCHANT_UUID, brandingId: 1 }),
  },
  'Account.syncWithExternalAccount': { args: () => ['crm', ITEM_ID] },
  'Account.updateExternalAccount': { args: () => ['crm', { note: 'x' }] },
  'Account.getAccountInfo': { args: () => [] },
  'Account.getSocialLoginUrls': { as: NOBODY, args: () => ['e30='] },
  'Account.updateAccount': { args: () => [{ fullName: 'Another Name', metadata: { surname: 'Name' } }] },
  'Account.changePassword': {
    args: () => [{ oldPassword: PASSWORD, password: NEW_PASSWORD, passwordConfirmation: NEW_PASSWORD }],
  },
  'Account.getRegisterFields': { as: NOBODY, args: () => [CLIENT_ID] },
  'Account.deleteAccount': { args: () => [{ password: PASSWORD, brandingId: 1 }] },
  'Account.exportData': { args: () => [{ password: PASSWORD, brandingId: 1 }] },
  'Account.sendPinCode': { args: () => [1] },
  'Account.validatePinCode': { args: () => ['1234'] },
  'Account.loadMerchantRestrictionSettings': { as: NOBODY, args: () => [MERCHANT_UUID] },
  'Account.getFavorites': { args: () => [] },
  'Account.getFavorite': { args: () => [MEDIA_ID], before: favourite },
  'Account.addToFavorites': { args: () => [MEDIA_ID] },
  'Account.deleteFromFavorites': { args: () => [MEDIA_ID], before: favourite },
  'Account.getWatchHistory': { args: () => [{}] },
  'Account.getWatchHistoryForItem': { args: () => [MEDIA_ID], before: watched },
  'Account.updateWatchHistory': { args: () => [MEDIA_ID, 0.5] },
  'Account.deleteWatchHistoryForItem': { args: () => [MEDIA_ID], before: watched },
  'Account.getProfiles': { args: () => [] },
  'Account.enterProfile': { args: () => ['p1', 1234] },
  'Account.createProfile': { args: () => ['Kid', false] },
  'Account.getProfileDetails': { args: () => ['p1'] },
  'Account.updateProfile': { args: () => ['p1', 'Kid'] },
  'Account.deleteProfile': { args: () => ['p1'] },
  'Account.getFeatureFlags': { args: () => [] },

  'Asset.checkAccessForAsset': { as: SUBSCRIBER, args: () => [ITEM_ID] },
  'Asset.isFreeTrialUsed': { as: SUBSCRIBER, args: () => [ITEM_ID] },
  'Asset.getAsset': { as: NOBODY, args: () => [ITEM_ID, MERCHANT_UUID] },
  'Asset.getExternalAsset': {
    as: NOBODY,
    args: ({ mediaId }) => ['jw_asset', mediaId, MERCHANT_UUID],
  },
  'Asset.getPackage': { as: NOBODY, args: () => [PACKAGE_ID] },
  'Asset.getAssetsInPackage': { as: NOBODY, args: () => [PACKAGE_ID] },
  'Asset.getAssetAccessFees': { as: NOBODY, args: () => [ITEM_ID] },
  'Asset.getAssetsHistory': { args: () => [] },
  'Asset.requestCodeAccess': { as: NOBODY, args: () => [{ item_id: ITEM_ID, code: 'ABC123' }] },
  'Asset.getAccesCodeSessions': { as: NOBODY, args: () => [7] },
  'Asset.terminateSession': {
    as: NOBODY,
    args: () => [ITEM_ID],
    // The SDK sends nothing unless the page has entered a code.
    before: (page) =>
      page.sdk.tokenStorage.setItem(
        page.sdk.config.INPLAYER_ACCESS_CODE_NAME(ITEM_ID),
        JSON.stringify({ code_id: 7, browser_fingerprint: 'f1' }),
      ),
  },
  'Asset.requestDataCaptureNoAuthAccess': {
    as: NOBODY,
    args: () => [{ email: 'a@viewer.example', full_name: 'A', company: 'B', merchant_uuid: MERCHANT_UUID }],
  },
  'Asset.getCloudfrontURL': { as: SUBSCRIBER, args: ({ film }) => [film.id, film.url] },
  'Asset.getDonationOptions': { args: () => [ITEM_ID] },
  'Asset.getSignedMediaToken': { as: SUBSCRIBER, args: ({ mediaId }) => [CLIENT_ID, mediaId] },
  'Asset.getSiteEntitlements': { as: SUBSCRIBER, args: () => [SITE_ID] },

  'Payment.getPaymentMethods': { args: () => [] },
  'Payment.createPayment': {
    args: () => [{ ...card, accessFee: FEE_ID, paymentMethod: 1, referrer: RETURN_URL, returnUrl: RETURN_URL }],
  },
  'Payment.createDonationPayment': {
    args: () => [{ ...card, paymentMethod: '1', returnUrl: RETURN_URL, amount: 5, currency: 'USD', assetId: ITEM_ID }],
  },
  'Payment.confirmPayment': { args: () => ['pi_1'] },
  'Payment.confirmDonationPayment': { args: () => [{ paymentIntentId: 'pi_1', brandingId: 1, paymentMethod: '1' }] },
  'Payment.getPayPalParams': { args: () => [{ origin: RETURN_URL, accessFeeId: FEE_ID, paymentMethod: 2, brandingId: 1 }] },
  'Payment.getPurchaseHistory': { as: SUBSCRIBER, args: () => ['active', 0, 5] },
  'Payment.getPaymentHistory': { args: () => [] },
  'Payment.getBillingReceipt': { args: () => [{ trxToken: 'T1' }], isFile: true },
  'Payment.getDefaultCreditCard': { args: () => [] },
  'Payment.setDefaultCreditCard': {
    args: () => [{ cardNumber: card.number, cardName: card.cardName, cvc: '123', expMonth: 12, expYear: 2030, currency: 'USD' }],
  },
  'Payment.getDirectDebitMandate': { args: () => [] },
  'Payment.createDirectDebitMandate': { args: () => [{ name: 'A Viewer', iban: 'DE89370400440532013000' }] },
  'Payment.directDebitCharge': { args: () => [debit] },
  'Payment.directDebitSubscribe': { args: () => [debit] },
  'Payment.idealPayment': { args: () => [bank] },
  'Payment.idealSubscribe': { args: () => [bank] },
  'Payment.googlePayPayment': { args: () => [wallet] },
  'Payment.applePayPayment': { args: () => [wallet] },
  'Payment.validateReceipt': { args: () => [{ platform: 'roku', receipt: 'r', itemId: ITEM_ID, accessFeeId: FEE_ID }] },
  'Payment.getSitePlans': { as: NOBODY, args: () => [SITE_ID] },
  'Payment.getSitePlanPrices': { as: NOBODY, args: () => [SITE_ID, 'plan1'] },

  'Subscription.getSubscriptions': { args: () => [] },
  'Subscription.getSubscription': { args: () => ['sub1'] },
  'Subscription.cancelSubscription': { args: ({ baseUrl }) => [`${baseUrl}/subscriptions/cancel/token1`] },
  'Subscription.createSubscription': {
    args: () => [{ ...card, accessFee: FEE_ID, paymentMethod: 1, referrer: RETURN_URL, returnUrl: RETURN_URL }],
  },
  'Subscription.changeSubscriptionPlan': { args: () => [{ access_fee_id: FEE_ID, inplayer_token: 'S1' }] },
  'Subscription.directDebitSubscribe': { args: () => [debit] },
  'Subscription.idealSubscribe': { args: () => [bank] },
  'Subscription.getDefaultCreditCard': { args: () => [] },
  'Subscription.setDefaultCreditCard': {
    args: () => [{ cardNumber: card.number, cardName: card.cardName, cvc: '123', expMonth: 12, expYear: 2030, currency: 'USD' }],
  },

  'Voucher.getDiscount': { args: () => [{ voucherCode: 'TENOFF', accessFeeId: FEE_ID }] },
  'Branding.getBranding': { as: NOBODY, args: () => [MERCHANT_UUID] },

  'NFTs.getMerchantMarketplace': { as: NOBODY, args: () => [MERCHANT_UUID] },
  'NFTs.getMerchantNFTList': { as: NOBODY, args: () => [MERCHANT_UUID] },
  'NFTs.getMerchantNFT': { as: NOBODY, args: () => [MERCHANT_UUID, 1] },
  'NFTs.getExchangeRates': { as: NOBODY, args: () => ['USD'] },
  'NFTs.getUserBoughtNFTs': { args: () => [] },
  'NFTs.makeReservation': { args: () => [MERCHANT_UUID, 1] },

  'Notifications.getIotToken': { args: () => [] },
};

/** Methods that send nothing, or call one of the above. */
const SILENT = new Set([
  'setConfig',
  'isAuthenticated',
  'getToken',
  'setToken',
  'removeToken',
  'getAccessCode',
  'subscribe',
  'handleSubscribe',
  'setClient',
  'isSubscribed',
  'unsubscribe',
]);

/** Parts of the SDK that are no API: its settings, its client for HTTP, its storage. */
const INNER = new Set(['config', 'request', 'tokenStorage']);

/** The names of all methods of the package that send requests, as the package itself has them. */
export function methodsOf(sdk) {
  const names = [];
  for (const [part, value] of Object.entries(sdk)) {
    if (INNER.has(part) || typeof value !== 'object') continue;
    const found = new Set(Object.keys(value));
    // Every object ends with the page's Object.prototype, whose own prototype is null.
    for (let at = Object.getPrototypeOf(value); Object.getPrototypeOf(at); at = Object.getPrototypeOf(at)) {
      Object.getOwnPropertyNames(at).forEach((name) => found.add(name));
    }
    for (const name of found) {
      if (name !== 'constructor' && typeof value[name] === 'function' && !SILENT.has(name)) names.push(`${part}.${name}`);
    }
  }
  return names.sort();
}
